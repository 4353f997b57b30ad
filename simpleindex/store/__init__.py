"""Layer 1: bytes at rest."""
