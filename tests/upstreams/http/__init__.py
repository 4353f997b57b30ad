"""Tests of upstreams/http."""
