"""The shell command, one file a sub-command, in folders by subject; here is what they share."""
