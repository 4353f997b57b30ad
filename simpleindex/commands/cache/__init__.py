"""Files from other indexes: what is in the cache, and filling it ahead of time."""
