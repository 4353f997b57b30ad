"""Composition: the parts of an index are made and put together here, one file a subject."""
