"""Tests of commands/server."""
