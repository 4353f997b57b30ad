"""Named indexes: which sources in which order under which rules, and explaining what they offer."""
