"""Tests of service/ports."""
