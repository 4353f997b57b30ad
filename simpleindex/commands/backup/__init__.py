"""Backups: making, restoring and proving them."""
