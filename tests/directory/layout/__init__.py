"""Tests of directory/layout."""
