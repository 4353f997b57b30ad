"""Tests of records/postgresql."""
