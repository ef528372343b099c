"""Which of the first passages of a search answers the question best."""
