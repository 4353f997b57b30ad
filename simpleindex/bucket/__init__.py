"""The manual layout in a bucket of an S3-compatible store (``--path s3://bucket/prefix``, extra ``s3``)."""
