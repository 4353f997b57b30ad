"""The verification of uploads: what is new must be beyond doubt, from the container to its metadata."""
