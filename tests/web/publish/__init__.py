"""Tests of web/publish."""
