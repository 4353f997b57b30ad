"""HTTP itself: the channel with its deadlines and back-pressure, requests, responses and the access log."""
