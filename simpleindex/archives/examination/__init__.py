"""Examining files that strangers made in processes of their own, which are limited, killed and replaced.

The parent opens a file and passes its descriptor (:mod:`.pool`, :mod:`.process`); the child (:mod:`.child`) limits itself
(:mod:`.confinement`), judges the file (:mod:`.judgements`) and answers in JSON, which the parent reads as it would a
stranger's (:mod:`.requests`). The children import neither Twisted nor anything that opens a connection.
"""
