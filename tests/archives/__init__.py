"""Tests of the room archives."""
