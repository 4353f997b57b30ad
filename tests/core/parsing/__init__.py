"""Tests of core/parsing."""
