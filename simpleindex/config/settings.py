"""The settings of the service as one value, and what differs between two of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simpleindex.config.options import OPTIONS
from simpleindex.core.errors import RefusedStart

if TYPE_CHECKING:
    from pathlib import Path

    from simpleindex.config.acme_values import AcmeContact, Identifier
    from simpleindex.config.bucket_location import BucketLocation
    from simpleindex.config.values import (
        AccessLog,
        ListenAddress,
        Network,
        WatchMode,
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of the service: a value for each option (:mod:`simpleindex.config.options` explains them), and what follows from several.

    All paths are absolute, sizes are bytes, and times are seconds but for ``keep_downloads``, which are days. What is optional is
    None without its option.

    Attributes:
        path: The served directory; for a bucket the local directory of uploads that are being checked.
        metrics_for: Networks whose clients see metrics without a login; None where there are none at all.
        workers: Processes that serve; 0 for one for each core.
        max_connections_per_address: How many; 0 for no bound.
        bucket: The served bucket, if --path is one.
        defaulted_http: Whether ``http`` is our choice because neither kind of listener was given.
    """

    path: Path
    https: tuple[ListenAddress, ...]
    http: tuple[ListenAddress, ...]
    serve_http: bool
    acme_webroot: Path | None
    acme: AcmeContact | None
    acme_name: tuple[Identifier, ...]
    acme_directory: str
    acme_profile: str | None
    acme_eab_id: str | None
    acme_eab_key: Path | None
    acme_trust: Path | None
    certs: Path
    state: Path
    new_records: bool
    records: str | None
    token_memory: int
    cache: Path
    sources: Path | None
    users: Path | None
    access: Path | None
    hooks: Path | None
    insecure_auth: bool
    url: str | None
    title: str
    notice: str
    watch: WatchMode
    poll_interval: float
    follow_root: bool
    access_log: AccessLog
    downloads: bool
    keep_downloads: int
    keep_addresses: bool
    metrics_for: tuple[Network, ...] | None
    immutable_files: bool
    cors: str | None
    trusted_proxy: tuple[Network, ...]
    max_connections_per_address: int
    page_cache: int
    bucket_cache: int
    redirect_downloads: int
    workers: int
    config: Path | None
    bucket: BucketLocation | None
    defaulted_http: bool = False

    @property
    def has_logins(self) -> bool:
        """Whether anybody can log in, and so may upload."""
        return self.users is not None or self.access is not None

    @property
    def keeps_state(self) -> bool:
        """Whether anything is kept in the directory of records while the server runs."""
        return self.has_logins or self.sources is not None or self.downloads or self.hooks is not None

    def require_directory(self, command: str) -> Path:
        """Return the served directory for a command that changes or reads its files.

        Raises:
            RefusedStart: A bucket is served.
        """
        if self.bucket is not None:
            raise RefusedStart(
                f"{command} works on a directory, and --path is the bucket {self.bucket}: use --index-url with a token where the "
                "command has it, or a tool of the store."
            )
        return self.path

    @property
    def redirect_http(self) -> bool:
        """Whether the listeners without TLS only send clients to those with it."""
        return bool(self.https and self.http) and not self.serve_http


def changes(old: Settings, new: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the options that differ: those that apply at once, and those that need a restart."""
    differing = [option for option in OPTIONS if getattr(old, option.field) != getattr(new, option.field)]
    return (
        tuple(option.name for option in differing if not option.restart_needed),
        tuple(option.name for option in differing if option.restart_needed),
    )
