"""Hooks: other servers and programs that are notified of events."""
