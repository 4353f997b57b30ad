"""Tests of upstreams/listings."""
