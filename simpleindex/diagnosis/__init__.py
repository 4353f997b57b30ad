"""Diagnosis of a server and its machine: what is wrong, how bad it is, and the command that mends it."""
