"""Answers to a certificate authority's HTTP challenge, as certbot's webroot plugin leaves them (RFC 8555 section 8.3)."""

from __future__ import annotations

import os
import re
import stat
from typing import Final

# RFC 8555 section 8.3: a token is base64url text, so nothing that could climb out of the directory.
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,256}\Z")

_MAXIMUM_SIZE: Final = 4096
"""Bytes; a key authorization has about 90."""


def read_challenge(webroot: str | None, token: str) -> bytes | None:
    """Return the answer to a token, or None if there is none."""
    if webroot is None or not _TOKEN.match(token):
        return None
    try:
        descriptor = os.open(
            os.path.join(webroot, ".well-known", "acme-challenge", token),
            os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC,
        )
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return os.read(descriptor, _MAXIMUM_SIZE)
    except OSError:
        return None
    finally:
        os.close(descriptor)
