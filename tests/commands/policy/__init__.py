"""Tests of commands/policy."""
