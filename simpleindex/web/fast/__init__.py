"""Short cuts that can be deleted, and nothing but speed would change."""
