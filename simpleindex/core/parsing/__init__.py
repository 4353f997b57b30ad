"""Parse JSON, TOML, text files and versions that people and strangers wrote, within bounds. Pure."""
