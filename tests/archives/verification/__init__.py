"""Tests of archives/verification."""
