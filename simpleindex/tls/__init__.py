"""HTTPS: certificates that are chosen by name and reloaded, and a private CA where there are none."""
