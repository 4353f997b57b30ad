"""A complete, live Python package index over a directory of packages."""

__version__ = "0.1.0"
