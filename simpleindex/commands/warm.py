"""``simpleindex cache warm FILE``: has a running index fetch what a lock file needs, before anybody waits for it."""

from __future__ import annotations

import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO
from urllib.parse import unquote, urljoin

from packaging.markers import default_environment
from packaging.tags import compatible_tags, cpython_tags, sys_tags

from simpleindex.commands.choose_files import choose
from simpleindex.commands.lock_file import InvalidLockFile
from simpleindex.commands.remote import Remote, Unreachable
from simpleindex.commands.requirements_files import read_requirements
from simpleindex.commands.why import own_ca, own_url
from simpleindex.config.settings import resolve
from simpleindex.core import bounds
from simpleindex.core.errors import InvalidSources, RefusedStart
from simpleindex.core.json_text import load_json
from simpleindex.core.sizes import human_size
from simpleindex.system.followed_file import read_text_file
from simpleindex.views.sources_file import parse_sources

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from packaging.tags import Tag

    from simpleindex.commands.requirements import Wanted
    from simpleindex.config.settings import Settings

_AT_ONCE: Final = 8
_ATTEMPTS: Final = 12
"""To read a file that is being fetched; each waits for ten seconds."""

_BAR: Final = 30
_LINUX: Final = re.compile(r"(manylinux|musllinux)_([0-9]+)_([0-9]{1,3})_(\w+)")
_JSON: Final = "application/vnd.pypi.simple.v1+json"


def add_warm(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to those of ``simpleindex cache``."""
    warm = commands.add_parser(
        "warm",
        help="have a running index fetch what a lock file needs",
        description="Have a running index fetch what a lock file or a requirements.txt needs: of each line the newest "
        "version that it allows, and of that the best wheel for each platform, else the sdist. Lock files of uv, pip (pylock.toml), "
        "poetry, pdm and pipenv are read. What lines depend on is not looked for, so give a lock file. Lines that name no project of an "
        "index are left out. Exit status 1 if something cannot be read or had.",
    )
    warm.add_argument("file", metavar="FILE", help="a lock file, or a requirements.txt")
    warm.add_argument(
        "--python-version",
        metavar="X.Y",
        action="append",
        help="for this Python; may be repeated [default: this one]",
    )
    warm.add_argument(
        "--platform",
        metavar="TAG",
        action="append",
        help="for this platform, as wheels name it: manylinux_2_28_x86_64, win_amd64; may be repeated [default: this one]",
    )
    warm.add_argument("--all", action="store_true", help="every file of each version")
    warm.add_argument(
        "--index-url",
        metavar="URL",
        help="the index [default: the server's own on this machine, by its --config]",
    )
    warm.add_argument("--cert", metavar="FILE", help="trust this CA certificate too")
    warm.add_argument("--token-file", metavar="FILE", help="holds a token (or SIMPLEINDEX_TOKEN)")
    warm.add_argument("--config", metavar="FILE", help="the server's configuration file, to find it by")
    warm.set_defaults(run=run_warm)


def run_warm(given: argparse.Namespace) -> int:
    """Run the command; returns the exit status.

    Raises:
        RefusedStart: It cannot be obeyed.
    """
    wanted, mistakes, left_out = _wanted(given)
    platforms = [] if given.all else platforms_of(given.python_version or (), given.platform or ())
    url, ca_file, limit = given.index_url, given.cert, None
    if url is None:
        options = {} if given.config is None else {"config": given.config}
        settings = resolve(options, os.environ, Path.cwd(), root_may_be_gone=True)
        url, ca_file = own_url(settings), ca_file or own_ca(settings)
        limit = _cache_size(settings)
    remote = Remote(url, ca_file, given.token_file, needs_token=False)
    progress = Progress(sys.stderr)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        chosen = [*pool.map(lambda each: _choose(remote, each, platforms), wanted)]
        problems = [problem for _, problem in chosen if problem]
        pages = [page for found, _ in chosen for page in found]
        progress.expect(len(pages))
        fetched = [*pool.map(lambda page: _fetch(remote, page, progress), dict.fromkeys(pages))]
    progress.end()
    problems = [*mistakes, *problems, *(problem for _, problem in fetched if problem)]
    done = [size for size, problem in fetched if not problem]
    if limit is not None and sum(done) > limit:
        problems.append(
            f"The files are larger than the cache, whose size is {human_size(limit)} in [cache] of the sources file: not all of them stay."
        )
    # That the index cannot be reached is the same for every line.
    for problem in dict.fromkeys(problems):
        print(problem)
    print(
        f"{len(done):,} file{'' if len(done) == 1 else 's'} for {len(wanted):,} line{'' if len(wanted) == 1 else 's'}, {human_size(sum(done))}"
        f"{f'; {left_out:,} left out' if left_out else ''}."
    )
    return 1 if problems else 0


def platforms_of(pythons: Sequence[str], platforms: Sequence[str]) -> list[list[Tag]]:
    """The tags that each combination of Python and platform takes, the best first.

    Raises:
        RefusedStart: A version is none.
    """
    if not pythons and not platforms:
        return [[*sys_tags()]]
    found = []
    for python in pythons or (f"{sys.version_info[0]}.{sys.version_info[1]}",):
        major, _, minor = python.partition(".")
        if not (major.isdecimal() and minor.isdecimal()):
            raise RefusedStart(f"--python-version: {python!r} is no version such as 3.12")
        version = int(major), int(minor)
        for platform in platforms or (None,):
            names = None if platform is None else _and_older(platform)
            interpreter = f"cp{major}{minor}"
            found.append(
                [
                    *cpython_tags(version, platforms=names),
                    *compatible_tags(version, interpreter, platforms=names),
                ]
            )
    return found


def _and_older(platform: str) -> list[str]:
    """A platform, and those whose wheels run on it as well: of manylinux and musllinux the older ones (PEP 600, 656)."""
    matched = _LINUX.fullmatch(platform)
    if matched is None:
        return [platform]
    kind, major, minor, machine = matched[1], int(matched[2]), int(matched[3]), matched[4]
    names = [f"{kind}_{major}_{older}_{machine}" for older in range(minor, -1, -1)]
    if kind == "manylinux" and machine in ("x86_64", "i686"):
        legacy = {17: "2014", 12: "2010", 5: "1"}
        names += [f"manylinux{name}_{machine}" for older, name in legacy.items() if older <= minor]
    elif kind == "manylinux" and minor >= 17:
        names.append(f"manylinux2014_{machine}")
    return names


def _wanted(given: argparse.Namespace) -> tuple[Sequence[Wanted], list[str], int]:
    """What is wanted, what is wrong in the file, and how many lines are left out; what is no project of an index is said."""
    environment = {key: str(value) for key, value in default_environment().items()}
    if given.python_version:
        environment |= {
            "python_version": given.python_version[0],
            "python_full_version": f"{given.python_version[0]}.0",
        }
    try:
        found = read_requirements(given.file, environment, os.environ)
    except OSError as error:
        raise RefusedStart(f"{given.file} cannot be read: {error.strerror}") from None
    except InvalidLockFile as error:
        raise RefusedStart(f"{given.file} {error.reason}") from None
    mistakes = [f"{each.where} {each.reason}." for each in found.left_out if each.is_mistake]
    if mistakes and not found.wanted:
        raise RefusedStart(mistakes[0])
    for each in found.left_out:
        if not each.is_mistake:
            print(f"Left out: {each.where} {each.reason}.")
    return found.wanted, mistakes, len(found.left_out)


def _choose(remote: Remote, wanted: Wanted, platforms: Sequence[Sequence[Tag]]) -> tuple[list[str], str]:
    """The URLs of what is wanted of one project, and what is wrong."""
    page = f"simple/{wanted.name}/"
    try:
        found = load_json(remote.read(page, _JSON), bounds.PAGE_VALUES)
        choice = choose(found, wanted, platforms)
    except Unreachable as error:
        return [], f"{error}"
    except RefusedStart as error:
        return [], f"{wanted.name}: {error}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return [], f"{wanted.name}: its page cannot be understood"
    pages = [urljoin(page, str(file["url"])) for file in choice.files]
    if any("://" in each for each in pages):
        return (
            [],
            f"{wanted.name}: its upstream gives its files itself (mode listing-only), so nothing of it is kept.",
        )
    missing = choice.missing
    if (missing and not found["files"]) or missing.endswith("is not offered."):
        missing = f"{missing.rstrip('.')}: {reason}" if (reason := _reason(remote, wanted)) else missing
    return pages, missing


def _cache_size(settings: Settings) -> int | None:
    """The bytes that the cache of the server on this machine keeps; None if there is none, or that cannot be told."""
    if settings.sources is None:
        return None
    try:
        return parse_sources(read_text_file(str(settings.sources))).cache.size
    except (OSError, InvalidSources):
        return None


def _reason(remote: Remote, wanted: Wanted) -> str:
    """What the index says of a file that it has and does not offer, as the end of a sentence; empty if it says nothing."""
    try:
        said = load_json(remote.read(f"-/why/{wanted.name}", "application/json"), bounds.PAGE_VALUES)
        for file in said["files"]:
            version = file.get("version")
            if not file["offered"] and version and wanted.versions.contains(version, prereleases=True):
                return str(file["says"])
        denied = said["answer"] == "withheld" and not said["files"]
        return str(said["summary"]) if denied else ""
    except (RefusedStart, ValueError, KeyError, TypeError, AttributeError):
        return ""


def _fetch(remote: Remote, page: str, progress: Progress) -> tuple[int, str]:
    filename = unquote(page.rpartition("/")[2])
    try:
        return _drain(remote, page), ""
    except Unreachable as error:
        return 0, f"{error}"
    except RefusedStart as error:
        if "the index answered 302" in str(error):
            return (
                0,
                f"{filename}: its upstream gives its files itself (mode redirect), so nothing of it is kept.",
            )
        return 0, f"{filename}: {error}"
    finally:
        progress.advance()


def _drain(remote: Remote, page: str) -> int:
    """Read a file, also one that its upstream is slow to begin: it is fetched in the background meanwhile."""
    for _ in range(_ATTEMPTS):
        try:
            return remote.drain(page)
        except RefusedStart as error:
            if "is being fetched" not in str(error):
                raise
    return remote.drain(page)


class Progress:
    """A bar on a terminal, and nothing elsewhere.

    Args:
        stream: Where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_shown = stream.isatty()
        self._total = self._done = 0

    def expect(self, total: int) -> None:
        """Begin with so much to do."""
        self._total = total
        self._show()

    def advance(self) -> None:
        """One more is done."""
        self._done += 1
        self._show()

    def end(self) -> None:
        """Take it away."""
        if self._is_shown:
            self._write("\r\x1b[K")

    def _show(self) -> None:
        if self._is_shown and self._total:
            filled = _BAR * self._done // self._total
            self._write(f"\r[{'#' * filled}{'.' * (_BAR - filled)}] {self._done:,} of {self._total:,} files")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
