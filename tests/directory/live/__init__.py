"""Tests of directory/live."""
