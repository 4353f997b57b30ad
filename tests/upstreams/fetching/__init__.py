"""Tests of upstreams/fetching."""
