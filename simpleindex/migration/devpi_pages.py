"""Parse the answers of a devpi server about an index and a project in it: JSON of its own. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeGuard
from urllib.parse import unquote, urlsplit

from simpleindex.core import bounds
from simpleindex.core.errors import InvalidProjectName
from simpleindex.core.files import file_order
from simpleindex.core.model import Project
from simpleindex.core.names import parse_project_name
from simpleindex.core.parsing.json_text import load_json, texts_in
from simpleindex.core.text import shown
from simpleindex.migration.errors import InvalidImportSource, NotImported
from simpleindex.migration.people import ImportedPeople, ImportedUser, ProposedRule
from simpleindex.upstreams.pages.entries import judged_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.core.names import ProjectName

WITHOUT_PROJECTS: Final = "?no_projects="
"""Behind the URL of an index: a mirror would first fetch the list of all projects that there are."""

_WORDS: Final = {":ANONYMOUS:": "anyone", ":AUTHENTICATED:": "authenticated"}


def read_answer(body: bytes) -> tuple[str, Any]:
    """Return the kind and the content of a devpi server's answer; an empty kind if it is another server's."""
    try:
        answer = load_json(body.decode("utf-8-sig"), bounds.PAGE_VALUES)
    except ValueError:
        return "", None
    if not isinstance(answer, dict) or not isinstance(answer.get("type"), str):
        return "", None
    return answer["type"], answer.get("result")


def parse_config(body: bytes) -> Mapping[str, Any]:
    """Return the configuration in the answer about an index.

    Raises:
        InvalidImportSource: It is none.
    """
    kind, result = read_answer(body)
    if kind != "indexconfig" or not isinstance(result, dict):
        raise InvalidImportSource("What the devpi server says of the index is not understood.")
    return result


def parse_projects(body: bytes) -> tuple[ProjectName, ...]:
    """Return the names of an index's own projects, without those of its bases.

    Raises:
        InvalidImportSource: They are not in the answer.
    """
    projects = parse_config(body).get("projects")
    if not isinstance(projects, list):
        raise InvalidImportSource("The devpi server does not list the index's projects.")
    return tuple(sorted({name for each in projects for name in _names(each)}))


def _names(text: object) -> Iterator[ProjectName]:
    if isinstance(text, str):
        try:
            yield parse_project_name(text)
        except InvalidProjectName:
            # devpi does not check the names of a mirror.
            return


def parse_indexes(result: object) -> tuple[str, ...]:
    """Return the indexes (``USER/NAME``) in the answer about all users."""
    users = result if isinstance(result, dict) else {}
    return tuple(
        f"{user}/{index}"
        for user, config in users.items()
        if isinstance(config, dict) and isinstance(config.get("indexes"), dict)
        for index in config["indexes"]
    )


def parse_devpi_users(body: bytes) -> tuple[ImportedUser, ...]:
    """Return the users in the answer about all users, who have no hashes in it; none if it is another answer."""
    _, result = read_answer(body)
    return tuple(ImportedUser(name) for name in result) if isinstance(result, dict) else ()


def parse_releases(body: bytes, name: ProjectName, index_url: str) -> Project:
    """Parse the answer about a project.

    Args:
        body: The answer.
        name: The project.
        index_url: The URL of its index. Links of files keep that host, whatever address the server believes to have.

    Raises:
        NotImported: It is no such answer.
    """
    kind, result = read_answer(body)
    if kind != "projectconfig" or not isinstance(result, dict):
        raise NotImported("what the devpi server says of it is not understood")
    entries = (
        {**entry, "url": _url(entry["url"], index_url)}
        for version in result.values()
        if isinstance(version, dict)
        for entry in _entries(version.get("+links"), version.get("yanked"))
    )
    files, withheld = judged_files(entries, index_url, name, "devpi")
    return Project(name, sorted(files, key=file_order), tuple(withheld))


def _entries(links: object, yanked: object) -> Iterator[dict[str, Any]]:
    """Yield releases among the links of a version in the form of JSON listings (PEP 691)."""
    for link in links if isinstance(links, list) else ():
        if (
            not isinstance(link, dict)
            or link.get("rel") != "releasefile"
            or not isinstance(link.get("href"), str)
        ):
            continue
        yield {
            "filename": unquote(link["href"].partition("?")[0].rpartition("/")[2]),
            "url": link["href"],
            "hashes": stated_hashes(link),
            "upload-time": devpi_upload_time(link.get("log")),
            "yanked": yanked,
        }


def stated_hashes(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hashes of an entry of devpi, in the form of JSON listings."""
    hashes = entry.get("hashes")
    found = {**hashes} if isinstance(hashes, Mapping) else {}
    spec = entry.get("hash_spec")
    if isinstance(spec, str):
        algorithm, _, value = spec.partition("=")
        found.setdefault(algorithm, value)
    # So devpi-server 2.1 and older.
    if "md5" in entry:
        found.setdefault("md5", entry["md5"])
    return found


def devpi_upload_time(log: object) -> str | None:
    """Return when a file was uploaded, in the form of JSON listings: the first time in a log of devpi, which is UTC."""
    entries = [each for each in log if isinstance(each, dict)] if isinstance(log, list) else []
    times: list[list[int]] = [time for each in entries if _is_time(time := each.get("when"))]
    if not times:
        return None
    year, month, day, hour, minute, second = min(times)
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"


def _is_time(time: object) -> TypeGuard[list[int]]:
    return (
        isinstance(time, list)
        and len(time) == 6
        and all(type(number) is int and 0 <= number < 10_000 for number in time)
    )


def _url(href: str, index_url: str) -> str:
    """Return a file's URL on the host of its index."""
    try:
        path = urlsplit(href).path
    except ValueError:
        return href
    user_and_index = "/".join(urlsplit(index_url).path.rstrip("/").rsplit("/", 2)[-2:])
    _, marker, place = path.partition(f"/{user_and_index}/+f/")
    return f"{index_url}+f/{place}" if marker else href


def people_of_index(index: str, config: Mapping[str, Any], users: tuple[ImportedUser, ...]) -> ImportedPeople:
    """Return the rights on an index.

    Args:
        index: ``USER/NAME``.
        config: Its configuration.
        users: The users of the server.
    """
    uploaders = tuple(_principals(config.get("acl_upload")))
    rules = ProposedRule(
        ("*",),
        {
            "read": tuple(_principals(config.get("acl_pkg_read"))) or ("anyone",),
            "upload": ("authenticated",) if "anyone" in uploaders else uploaders,
        },
        f"acl_upload of {shown(index)}",
    )
    notes = []
    bases = [base for base in texts_in(config.get("bases")) if base]
    if bases:
        notes.append(
            f"{shown(index)} has the bases {', '.join(map(shown, bases))}, whose projects are not its own: import them too, or "
            "make them upstreams."
        )
    if "anyone" in uploaders:
        notes.append(f"Everybody may upload to {shown(index)}; here a login is needed.")
    if users and not any(user.hash for user in users):
        notes.append("A devpi server tells no hashes of passwords; what devpi-export writes has them.")
    return ImportedPeople(users, {}, (rules,), tuple(notes))


def _principals(value: object) -> Iterator[str]:
    for text in texts_in(value):
        word = _WORDS.get(text.upper())
        if word or not text.startswith(":"):
            yield word or text.removeprefix(":")
