"""Putting it together: the composition, the life of the service, listening, systemd."""
