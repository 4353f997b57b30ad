"""Tests of records/audit."""
