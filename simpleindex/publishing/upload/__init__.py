"""An upload until it is stored: its form, its checks, and its attestations."""
