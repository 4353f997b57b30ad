"""Tests of directory/watch."""
