"""Files of upstreams: fetching them into the cache while clients download them, and their metadata."""
