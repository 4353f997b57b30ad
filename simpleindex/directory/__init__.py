"""The manual layout, live: what lies in a directory of packages, read, watched and remembered."""
