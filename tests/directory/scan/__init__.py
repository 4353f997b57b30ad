"""Tests of directory/scan."""
