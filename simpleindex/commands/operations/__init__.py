"""Running an index: checks, units of systemd, certificates."""
