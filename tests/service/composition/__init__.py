"""Tests of service/composition."""
