"""Copies of releases from another directory or an upstream's cache."""
