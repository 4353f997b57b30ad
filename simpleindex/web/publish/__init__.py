"""Uploads and other changes over HTTP."""
