"""Tests of upstreams/cache."""
