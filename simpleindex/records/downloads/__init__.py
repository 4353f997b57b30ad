"""The counts of downloads, and queries about them; who downloaded a file, by counts, single downloads and access logs."""
