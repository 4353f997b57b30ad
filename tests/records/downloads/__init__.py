"""Tests of records/downloads."""
