"""Certificates from a certificate authority that speaks ACME (RFC 8555), requested and renewed by the server itself."""
