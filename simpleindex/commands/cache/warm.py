"""``simpleindex cache warm FILE``: have a running index fetch the files that a lock file needs."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urljoin

from packaging.markers import default_environment

from simpleindex.commands.arguments import add_index_options
from simpleindex.commands.cache.choose_files import choose_files
from simpleindex.commands.cache.lock_file import InvalidLockFile
from simpleindex.commands.cache.platforms import supported_tags
from simpleindex.commands.cache.requirements_files import read_requirements
from simpleindex.commands.local_index import open_index
from simpleindex.commands.progress import Progress
from simpleindex.commands.remote import IndexRefusal, Unreachable
from simpleindex.commands.server_options import server_settings
from simpleindex.core import bounds
from simpleindex.core.errors import RefusedStart
from simpleindex.core.parsing.json_text import load_json
from simpleindex.core.text import human_size, plural
from simpleindex.system.followed_file import read_named_file
from simpleindex.views.sources_file import parse_sources

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from packaging.tags import Tag

    from simpleindex.commands.cache.requirements import ProjectRequirement
    from simpleindex.commands.remote import Remote
    from simpleindex.config.settings import Settings

_AT_ONCE: Final = 8
_ATTEMPTS: Final = 12
"""To read a file that the index is fetching; the index answers each after ten seconds."""

_LONGEST_WAIT: Final = 10
"""Seconds between two attempts."""

_JSON: Final = "application/vnd.pypi.simple.v1+json"


def add_warm(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to those of ``simpleindex cache``."""
    warm = commands.add_parser(
        "warm",
        help="have a running index fetch what a lock file needs",
        description="Have a running index fetch what a lock file or a requirements.txt needs: of each line the newest "
        "version that it allows, and of that the best wheel for each platform, else the sdist. It reads lock files of uv, pip "
        "(pylock.toml), poetry, pdm and pipenv. It does not look for dependencies, so give a lock file. It skips lines that name no "
        "project of an index. Exit status 1: something could not be read or fetched.",
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
    add_index_options(
        warm.add_argument, index="the index [default: the server's own on this machine, by its --config]"
    )
    warm.add_argument("--config", metavar="FILE", help="the server's configuration file, to find it by")
    warm.set_defaults(run=run_warm)


def run_warm(given: argparse.Namespace) -> int:
    """Run the command; returns the exit status.

    Raises:
        RefusedStart: It cannot be obeyed.
    """
    requirements, mistakes, skipped = _requirements(given)
    platforms = [] if given.all else supported_tags(given.python_version or (), given.platform or ())
    remote = open_index(given)
    limit = _cache_size(server_settings(given, root_may_be_gone=True)) if given.index_url is None else None
    with Progress(sys.stderr) as progress, ThreadPoolExecutor(_AT_ONCE) as pool:
        chosen = [*pool.map(lambda each: _choose(remote, each, platforms), requirements)]
        problems = [problem for _, problem in chosen if problem]
        pages = [page for files, _ in chosen for page in files]
        progress.expect(len(pages))
        fetched = [*pool.map(lambda page: _fetch(remote, page, progress), dict.fromkeys(pages))]
    problems = [*mistakes, *problems, *(problem for _, problem in fetched if problem)]
    done = [size for size, problem in fetched if not problem]
    if limit is not None and sum(done) > limit:
        problems.append(
            f"The files are larger than the cache ({human_size(limit)}, set in [cache] of the sources file): the cache will not keep all of them."
        )
    # An index that cannot be reached is the same problem for every line.
    for problem in dict.fromkeys(problems):
        print(problem)
    print(
        f"{plural(len(done), 'file')} for {plural(len(requirements), 'line')}, {human_size(sum(done))}"
        f"{f'; {skipped:,} skipped' if skipped else ''}."
    )
    return 1 if problems else 0


def _requirements(given: argparse.Namespace) -> tuple[Sequence[ProjectRequirement], list[str], int]:
    """Return the requirements of a file, its mistakes, and the number of skipped lines; print what is no project of an index."""
    environment = {key: str(value) for key, value in default_environment().items()}
    if given.python_version:
        environment |= {
            "python_version": given.python_version[0],
            "python_full_version": f"{given.python_version[0]}.0",
        }
    try:
        requirements = read_requirements(given.file, environment, os.environ)
    except OSError as error:
        raise RefusedStart(f"{given.file} cannot be read: {error.strerror}") from None
    except InvalidLockFile as error:
        raise RefusedStart(f"{given.file} {error.reason}") from None
    mistakes = [f"{each.where} {each.reason}." for each in requirements.skipped if each.is_mistake]
    if mistakes and not requirements.projects:
        raise RefusedStart(mistakes[0])
    for each in requirements.skipped:
        if not each.is_mistake:
            print(f"Skipped: {each.where} {each.reason}.")
    return requirements.projects, mistakes, len(requirements.skipped)


def _choose(
    remote: Remote, requirement: ProjectRequirement, platforms: Sequence[Sequence[Tag]]
) -> tuple[list[str], str]:
    """Return the URLs of the files that a requirement needs, and why there are none."""
    page = f"simple/{requirement.name}/"
    try:
        listing = load_json(remote.read(page, _JSON), bounds.PAGE_VALUES)
        choice = choose_files(listing, requirement, platforms)
    except Unreachable as error:
        return [], f"{error}"
    except RefusedStart as error:
        return [], f"{requirement.name}: {error}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return [], f"{requirement.name}: the index sent a page that is not valid"
    pages = [urljoin(page, str(file["url"])) for file in choice.files]
    if any("://" in each for each in pages):
        return (
            [],
            f"{requirement.name}: clients fetch its files from its upstream (mode listing-only), so they are not cached.",
        )
    missing = choice.missing
    if (missing and not listing["files"]) or missing.endswith("is not offered."):
        missing = f"{missing.rstrip('.')}: {reason}" if (reason := _reason(remote, requirement)) else missing
    return pages, missing


def _cache_size(settings: Settings) -> int | None:
    """Return the bytes that the cache of the server on this machine keeps; None without a cache or a readable sources file."""
    if settings.sources is None:
        return None
    try:
        return read_named_file(settings.sources, parse_sources).cache.size
    except RefusedStart:
        return None


def _reason(remote: Remote, requirement: ProjectRequirement) -> str:
    """Return why the index does not offer a file that it has, as the end of a sentence; empty if it gives no reason."""
    try:
        explanation = load_json(
            remote.read(f"-/why/{requirement.name}", "application/json"), bounds.PAGE_VALUES
        )
        for file in explanation["files"]:
            version = file.get("version")
            if not file["offered"] and version and requirement.versions.contains(version, prereleases=True):
                return str(file["says"])
        denied = explanation["answer"] == "withheld" and not explanation["files"]
        return str(explanation["summary"]) if denied else ""
    except (RefusedStart, ValueError, KeyError, TypeError, AttributeError):
        return ""


def _fetch(remote: Remote, page: str, progress: Progress) -> tuple[int, str]:
    filename = unquote(page.rpartition("/")[2])
    try:
        return _drain(remote, page), ""
    except Unreachable as error:
        return 0, f"{error}"
    except RefusedStart as error:
        if isinstance(error, IndexRefusal) and error.status == HTTPStatus.FOUND:
            return 0, f"{filename}: clients fetch it from its upstream (mode redirect), so it is not cached."
        return 0, f"{filename}: {error}"
    finally:
        progress.advance()


def _drain(remote: Remote, page: str) -> int:
    """Read a file, again after each Retry-After: the index fetches in the background what its upstream is slow to send."""
    for _ in range(_ATTEMPTS):
        try:
            return remote.drain(page)
        except IndexRefusal as error:
            if error.status != HTTPStatus.SERVICE_UNAVAILABLE or error.retry_after is None:
                raise
            time.sleep(min(error.retry_after, _LONGEST_WAIT))
    return remote.drain(page)
