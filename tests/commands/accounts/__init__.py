"""Tests of commands/accounts."""
