"""Tests of web/status."""
