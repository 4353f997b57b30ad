"""Who may do what: identities, passwords and tokens, the rules of the access file, and the source that applies them."""
