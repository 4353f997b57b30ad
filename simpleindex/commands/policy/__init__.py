"""The rules for upstreams: exemptions, and why something is not offered."""
