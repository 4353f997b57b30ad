"""What changes while the service runs, when settings were read again (SIGHUP)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from simpleindex.config.settings import changes
from simpleindex.system.log import logger

if TYPE_CHECKING:
    from simpleindex.config.settings import Settings
    from simpleindex.service.composition.index import ComposedIndex

_log: Final = logger(__name__)


def settings_in_force(before: Settings, new: Settings) -> Settings:
    """Return new settings, but with the old values of options that need a restart."""
    _, restart = changes(before, new)
    fields = [name.replace("-", "_") for name in restart]
    return replace(new, **{field: getattr(before, field) for field in fields})


def log_changes(before: Settings, new: Settings) -> None:
    """Log which options changed, and which of them need a restart: these are named again next time."""
    changed, restart = changes(before, new)
    _log.info("Configuration read again; changed: {options}.", options=", ".join(changed) or "nothing")
    if restart:
        _log.warn("These changed options need a restart: {options}.", options=", ".join(restart))


def apply_settings(index: ComposedIndex, settings: Settings) -> None:
    """Give the parts of an index their new settings; those that read the settings in force need none."""
    index.http.files.immutable = settings.immutable_files
    if index.logins is not None:
        index.logins.authentication.insecure_auth = settings.insecure_auth
    index.http.resource.trusted = settings.trusted_proxy
    index.http.resource.cors = index.http.redirect.cors = settings.cors
    if index.http.people is not None:
        index.http.people.renderer().rename(settings.title)
    for site in index.http.sites:
        site.connections.bound = settings.max_connections_per_address


def reload_files(index: ComposedIndex) -> None:
    """Read the files of users, rights, sources and rules again, and look at the directories."""
    if index.logins is not None:
        index.logins.reload()
    if index.sources.upstreams is not None:
        index.sources.upstreams.reload()
    for directory in index.sources.directories:
        directory.live.accept()
