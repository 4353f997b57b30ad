"""Keeping what was read in step with the directory."""
