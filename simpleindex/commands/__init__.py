"""Commands for people: passwords and tokens, changed beside a running server, which takes them up by itself."""
