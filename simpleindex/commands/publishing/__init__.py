"""Changes to what is published: yanks, deletions, statuses, copies."""
