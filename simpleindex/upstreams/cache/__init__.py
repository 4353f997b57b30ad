"""Copies from other indexes: listings and files in the cache directory, and pins in the state directory."""
