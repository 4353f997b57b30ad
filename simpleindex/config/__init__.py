"""Options: the command line, the environment and the configuration file, and the settings that follow."""
