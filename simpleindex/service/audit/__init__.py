"""Record in the audit what no request did: changes by hand, of the configuration, and of upstreams."""
