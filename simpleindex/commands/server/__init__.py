"""The server itself: its systemd units, its certificates, the database of its records."""
