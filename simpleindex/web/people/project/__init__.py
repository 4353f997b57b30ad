"""Pages about a project: its releases, what is inside a file, and what changed between versions."""
