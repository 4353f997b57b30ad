"""Questions about the past: who changed what, and who downloaded what."""
