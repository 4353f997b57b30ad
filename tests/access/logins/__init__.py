"""Tests of access/logins."""
