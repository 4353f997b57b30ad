"""Tests of commands/backup."""
