"""The records in a PostgreSQL server, for several nodes (``--records postgresql://...``, extra ``postgresql``)."""
