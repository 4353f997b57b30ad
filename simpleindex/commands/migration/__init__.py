"""Moving in: importing from another index server."""
