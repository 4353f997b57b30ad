"""Statuses that mean "no such project" for an upstream, as far as the operator may configure them.

404 and 410 always mean it. Object stores without the right to list say 403 (Amazon's S3, download.pytorch.org), and some indexes
redirect requests for missing projects to a public index (pypiserver, GitLab).
"""

from __future__ import annotations

from typing import Final

_ALWAYS: Final = frozenset({404, 410})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

_NEVER: Final = {
    401: "says that credentials are missing or wrong",
    407: "says that the proxy wants credentials",
    408: "says that a request took too long",
    421: "says that it is the wrong server for the request",
    424: "says that something behind the index failed",
    425: "asks to try again",
    426: "asks for another protocol",
    428: "asks for another request",
    429: "asks to wait",
    431: "says that a request was too large",
}


def refuses_missing(status: object) -> str | None:
    """Return why a status cannot mean that a project does not exist; None if it can."""
    if not isinstance(status, int) or isinstance(status, bool) or not 100 <= status <= 599:
        return "is no HTTP status"
    if status < 300:
        return "is a success"
    if status >= 500:
        return "says that the index failed, so that nothing is known of the project"
    if status < 400 and status not in _REDIRECTS:
        return "is no redirect to another page"
    return _NEVER.get(status)


def may_mean_missing(status: int) -> bool:
    """Return whether ``missing`` of an upstream may have this status."""
    return status not in _ALWAYS and refuses_missing(status) is None
