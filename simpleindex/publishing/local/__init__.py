"""Changes on the disk of a local directory: staging, locks, commit, trash and recovery."""
