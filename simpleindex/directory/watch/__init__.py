"""Noticing changes of the directory: events, or polling."""
