"""Tests of web/routing."""
