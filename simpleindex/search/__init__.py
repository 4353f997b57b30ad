"""Search: an index of the names, summaries and descriptions of projects."""
