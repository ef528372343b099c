"""Local training of a decoder; reads messages, never a document."""
