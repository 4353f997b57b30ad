"""Layer 2: who answers the three questions."""
