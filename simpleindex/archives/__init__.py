"""Wheels and sdists from the inside: zip and tar, verification, metadata, and the processes that examine strangers' files."""
