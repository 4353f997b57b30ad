"""Tests of commands/audit."""
