"""Layer 3: HTTP."""
