"""The audit: its file, reading it, questions about it, and sharing it between nodes."""
