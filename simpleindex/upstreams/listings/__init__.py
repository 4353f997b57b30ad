"""Listings of upstreams: when they are requested, stored, checked and corrected."""
