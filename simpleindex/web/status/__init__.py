"""What the server says of itself: health, counts and metrics."""
