"""Metrics: numbers about a running index, for Prometheus and for ``/-/status``."""
