"""Tests of commands/migration."""
