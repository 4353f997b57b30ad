"""The server's own state: health, counts and metrics."""
