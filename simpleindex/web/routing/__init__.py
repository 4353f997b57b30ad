"""What URLs mean: targets, routes, redirects and methods."""
