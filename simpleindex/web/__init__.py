"""HTTP: what is served where."""
