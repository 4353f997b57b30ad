"""Tests of commands/publishing."""
