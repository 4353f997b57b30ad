"""Moving in: files, upload times, yanks, users and rights of another index server, read and brought into a directory."""
