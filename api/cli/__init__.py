"""The `citebound` command, one file a group of subcommands."""
