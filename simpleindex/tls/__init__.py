"""HTTPS of its own: certificates chosen by name and taken up anew, and a private CA where there are none."""
