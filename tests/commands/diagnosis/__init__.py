"""Tests of commands/diagnosis."""
