"""Backups: what belongs to one, how it is written while the server runs, and how it is restored and proved."""
