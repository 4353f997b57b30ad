"""Tests of commands/cache."""
