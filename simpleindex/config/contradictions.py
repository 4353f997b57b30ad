"""Options that contradict each other, or mean nothing without another: the start is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simpleindex.config.directories import place_of
from simpleindex.config.options import OPTIONS
from simpleindex.core.errors import RefusedStart

if TYPE_CHECKING:
    from simpleindex.config.layers import Layers
    from simpleindex.config.settings import Settings

_ACME_DETAILS: Final = tuple(
    option.name for option in OPTIONS if option.name.startswith("acme-") and option.name != "acme-webroot"
)
"""Options that refine ``--acme``."""


def refuse_contradictions(settings: Settings, layers: Layers) -> None:
    """Refuse options that contradict each other, or mean nothing without another.

    Args:
        settings: What is decided.
        layers: Where each option is given, for the sentence.

    Raises:
        RefusedStart: Some do.
    """
    if settings.defaulted_http or not settings.http:
        for name, value in (("serve-http", settings.serve_http), ("acme-webroot", settings.acme_webroot)):
            if value:
                raise RefusedStart(
                    f"{layers.where(name)}: means nothing without --http; add it or leave this out"
                )
    _refuse_contradictory_acme(settings, layers)
    if not settings.downloads:
        for name in ("keep-downloads", "keep-addresses"):
            if layers.is_given(name):
                raise RefusedStart(
                    f"{layers.where(name)}: means nothing with --downloads off; leave one of them out"
                )
    if settings.insecure_auth and not settings.has_logins:
        raise RefusedStart(
            f"{layers.where('insecure-auth')}: means nothing without --users or --access; add one or leave this out"
        )
    root = place_of(settings.path)
    for name, path in (("certs", settings.certs), ("state", settings.state), ("cache", settings.cache)):
        if place_of(path) == root:
            raise RefusedStart(
                f"{layers.where(name)}: {str(path)!r} is the served directory itself; give one beside it or inside it"
            )
    if place_of(settings.state) == place_of(settings.cache):
        raise RefusedStart(
            f"{layers.where('cache')}: {str(settings.cache)!r} is --state too, and a cache may be deleted; give another"
        )


def _refuse_contradictory_acme(settings: Settings, layers: Layers) -> None:
    if settings.acme is None:
        for name in _ACME_DETAILS:
            if layers.is_given(name):
                raise RefusedStart(
                    f"{layers.where(name)}: means nothing without --acme; add it or leave this out"
                )
    elif not settings.https:
        raise RefusedStart(
            f"{layers.where('acme')}: means nothing without --https; add --https 443 or leave this out"
        )
    for one, other in (("acme-eab-id", "acme-eab-key"), ("acme-eab-key", "acme-eab-id")):
        if layers.is_given(one) and not layers.is_given(other):
            raise RefusedStart(
                f"{layers.where(one)}: means nothing without --{other}; add it or leave this out"
            )
