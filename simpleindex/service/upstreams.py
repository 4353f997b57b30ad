"""The upstreams of a running index: what the service loads, follows, reloads and stops of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simpleindex.core.text import plural
from simpleindex.core.views import MAIN_VIEW
from simpleindex.policy.messages import no_upload_times
from simpleindex.system.log import logger
from simpleindex.upstreams.cache.file_keys import UpstreamFileKey
from simpleindex.upstreams.modes import Mode
from simpleindex.views.name_rules import NameRules

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence

    from twisted.internet.defer import Deferred

    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName
    from simpleindex.policy.lists import NameLists
    from simpleindex.records.used_names import UsedNames
    from simpleindex.service.composition.directory import ServedDirectory
    from simpleindex.service.composition.upstream_secrets import Secrets
    from simpleindex.system.threads import Threads
    from simpleindex.upstreams.cache.cache import UpstreamCache
    from simpleindex.upstreams.cache.pins import Pins
    from simpleindex.upstreams.cached import CachedSource
    from simpleindex.upstreams.client import HttpUpstream
    from simpleindex.upstreams.http.agent import OutgoingAgent
    from simpleindex.upstreams.settings import UpstreamSettings
    from simpleindex.views.live_sources_file import LiveSourcesFile
    from simpleindex.views.sources_file import Sources
    from simpleindex.views.union import UpstreamMember

_log = logger(__name__)

_MODES: Final = {
    Mode.CACHE: "",
    Mode.REDIRECT: ", to which clients are sent for files",
    Mode.LISTING_ONLY: ", whose files clients get there without asking here",
}


@dataclass(frozen=True)
class ConnectedUpstream:
    """An upstream with everything that requests and caches it.

    Attributes:
        settings: Its part of the sources file.
        cached: Its cached listings and files.
        client: Its client, below the limit of requests.
    """

    settings: UpstreamSettings
    agent: OutgoingAgent
    cached: CachedSource
    member: UpstreamMember
    client: HttpUpstream


@dataclass(frozen=True)
class FollowedFiles:
    """The sources file and the files that it names, which are read again when they change.

    Attributes:
        lists: The lists of names and advisories of its rules.
        secrets: The credentials and certificates of upstreams.
        used_names: The names of the index's own projects.
        threads: Threads for short blocking calls.
    """

    sources: LiveSourcesFile
    lists: NameLists
    secrets: Secrets
    used_names: UsedNames
    threads: Threads

    def reload(self) -> None:
        """Read the files again because of SIGHUP; blocking."""
        self.sources.reload()
        self.secrets.look()

    def follow(self, names: set[ProjectName]) -> Awaitable[None]:
        """Read the files again if they changed, and store the names of the index's own projects."""
        self.sources.current()
        return self.threads.run(self._follow, names)

    def _follow(self, names: set[ProjectName]) -> None:
        self.used_names.add(names)
        self.lists.refresh()
        self.secrets.look()


@dataclass(frozen=True)
class Upstreams:
    """The other indexes.

    Attributes:
        files: The sources file and the files that it names.
        cache: The cache of listings and files.
        pins: What is pinned of upstreams.
        start: The sources file as of the start.
    """

    connected: tuple[ConnectedUpstream, ...]
    files: FollowedFiles
    cache: UpstreamCache
    pins: Pins
    start: Sources
    directories: tuple[ServedDirectory, ...]

    def cached_files(self, name: ProjectName, files: Iterable[File]) -> dict[str, bool]:
        """Return whether files of upstreams are in the cache, by name; without touching the disk.

        Args:
            name: The project.
            files: Its files; those of directories are left out.
        """
        identities = {each.settings.name: each.settings.identity for each in self.connected}
        return {
            file.filename: self.cache.files.may_have(
                UpstreamFileKey(identities[file.source], name, file.filename)
            )
            for file in files
            if file.source in identities
        }

    def load(self) -> None:
        """Read which files are cached; blocking."""
        self.cache.load()
        for each in self.start.upstreams:
            if each.credentials is not None:
                try:
                    self.pins.adopt(each.url, each.identity)
                except OSError as error:
                    _log.error(
                        "What is pinned of {name} cannot be read: {cause}.",
                        name=each.name,
                        cause=error.strerror,
                    )
        for line in without_upload_times(self.files.sources, self.start.upstreams, self.cache):
            _log.warn("{line}", line=line)

    def lines(self) -> Iterator[str]:
        """Return the lines about them in the log at the start."""
        for directory in self.directories[1:]:
            yield f"Beside it: {directory.name}, {directory.path}."
        for each in self.start.upstreams:
            yield f"Behind it: {each.name}, {each.url}{_MODES[each.mode]}."
        for view in self.start.views:
            if view.name != MAIN_VIEW:
                yield f"At /{view.name}/: {', '.join(view.sources)}."
        rules = self.start.rules
        if rules:
            names = ", ".join(rule.name for rule in rules)
            yield f"{plural(len(rules), 'rule')} in force: {names}."

    @property
    def unlisted(self) -> Mapping[str, tuple[str, ...]]:
        """By view, the upstreams whose projects are not in its list."""
        names = {each.name for each in self.start.upstreams if not each.lists}
        return {view.name: tuple(name for name in view.sources if name in names) for view in self.start.views}

    @property
    def allow_upstream(self) -> tuple[str, ...]:
        """Patterns of names that are requested from upstreams although a directory has them, as of the start."""
        return NameRules(allow_upstream=self.start.allow_upstream).allow_upstream

    def follow(self) -> Awaitable[None]:
        """Read the followed files again if they changed, and store the names of the index's own projects."""
        return self.files.follow({name for each in self.directories for name in each.live.snapshots.listed()})

    def reload(self) -> None:
        """Read the followed files again because of SIGHUP."""
        self.files.reload()

    def keeping(self) -> list[Deferred[None]]:
        """Return a Deferred for each complete download, which fires once the file is stored."""
        return [kept for each in self.connected for kept in each.cached.keeping()]

    def stop(self) -> None:
        """Cancel downloads and close connections."""
        for each in self.connected:
            each.cached.stop()
        for each in self.connected:
            each.agent.close()


def without_upload_times(
    file: LiveSourcesFile, upstreams: Sequence[UpstreamSettings], cache: UpstreamCache
) -> Iterator[str]:
    """Return warnings about rules on the age of files whose upstreams state no upload times, as far as the cache shows."""
    for each in upstreams:
        rules = file.current().judges_age(each.name)
        if rules and cache.lacks_upload_times(each.identity):
            yield no_upload_times(each.name, rules)
