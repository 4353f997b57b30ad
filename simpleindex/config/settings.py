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
    """The settings of the service. All paths are absolute.

    Attributes:
        path: The served directory; for a bucket the local directory of uploads that are being checked.
        https: Where to listen with TLS.
        http: Where to listen without.
        serve_http: Whether the index is served without TLS although it is served with it.
        acme_webroot: Where ACME challenges are answered from, or None.
        acme: The contact for certificates of an ACME authority; None if none are requested.
        acme_name: Names and addresses that they are requested for, beside the host of ``url``.
        acme_directory: The URL of the authority's directory.
        acme_profile: The profile to request, or None.
        acme_eab_id: The identifier of the account at the authority that ours is bound to, or None.
        acme_eab_key: The file with the key of that binding, or None.
        acme_trust: The file with the roots to trust for the directory, or None for the system's.
        certs: Certificates and keys.
        state: Records: what cannot be rebuilt.
        new_records: Whether to make new records where the old ones are lost, instead of refusing to start.
        records: The PostgreSQL database of the records, or None for a file in ``state``.
        token_memory: Seconds for which tokens count while that database is away.
        cache: What can.
        sources: The file of the indexes behind this one, or None.
        users: The htpasswd file of those who may log in, or None.
        access: The file of their rights, or None.
        hooks: The file of the servers and programs that are notified of events, or None.
        insecure_auth: Whether credentials are taken over plain HTTP from other machines.
        url: ``scheme://host[:port]/[path/]`` as clients reach it, or None if it follows from the certificate.
        title: The name of the index on pages for people.
        notice: Markdown for the front page; empty for none.
        watch: How changes are learnt of.
        poll_interval: Seconds between sweeps.
        follow_root: Whether a directory that takes the place of the root is served without an operator's word, where it is like it.
        access_log: A file, ``-`` for standard output, or None.
        downloads: Whether downloads are counted.
        keep_downloads: For how many days the counts are kept.
        keep_addresses: Whether each download is kept with its time and the client's address.
        metrics_for: Networks whose clients see metrics without a login; None where there are none at all.
        immutable_files: Whether clients may keep files for ever.
        cors: The origin whose pages may read the index, ``*`` for all, None for none.
        trusted_proxy: Networks whose word on the client's address is believed.
        max_connections_per_address: How many; 0 for no bound.
        page_cache: Bytes of rendered pages kept at most.
        bucket_cache: Bytes of files of a bucket in ``cache``; 0 for none.
        redirect_downloads: Seconds for which URLs of the store are good that downloads are redirected to; 0 to send files from here.
        workers: Processes that serve; 0 for one for each core.
        config: The configuration file, or None.
        bucket: The served bucket, if --path is one, or None.
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
