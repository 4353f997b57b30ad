"""The shell command, one file a sub-command."""
