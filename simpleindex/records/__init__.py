"""What cannot be rebuilt: tokens, owners, used names, first-seen times, and the audit."""
