"""Tests of upstreams/pages."""
