"""The account page, its forms, and the login."""
