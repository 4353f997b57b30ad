"""Ports: listening, accepting, PROXY headers, and the URL that follows from them."""
