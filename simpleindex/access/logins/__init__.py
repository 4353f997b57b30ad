"""Logins: credentials, passwords and tokens, and how failed ones are slowed down and recorded."""
