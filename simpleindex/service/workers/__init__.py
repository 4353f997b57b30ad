"""Several processes that serve one index together (``--workers``): one that supervises, and the workers."""
