"""What is wrong: ``simpleindex check`` of the configuration, ``simpleindex doctor`` of the server and its machine."""
