"""Layer 0: values and decisions. No Twisted, no files, no clock, no network."""
