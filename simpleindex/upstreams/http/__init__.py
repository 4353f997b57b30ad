"""The HTTP client for upstream indexes."""
