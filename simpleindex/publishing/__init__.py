"""A new file's way into the directory: form, checks, staging, locks, commit, trash and recovery."""
