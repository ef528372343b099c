"""Names of threads by which other code finds them. Imports nothing: the command line reads it before anything else."""

LOADING_THREAD = "loading"
