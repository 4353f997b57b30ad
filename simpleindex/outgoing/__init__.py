"""How other servers are asked: the network's counterpart of the store."""
