"""Tests of the room upstreams."""
