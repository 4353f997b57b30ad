"""Facts for a diagnosis, from the disk, the machine, the server and the network. Blocking."""
