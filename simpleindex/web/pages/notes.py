"""Notes on pages about the index itself: its CA, the upstreams behind it, and other views.

Tools take every anchor of a listing for a project or a file, so none of this is an anchor in the page: a script makes
links of elements with ``data-href``, and without scripts the text says where to look.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Final

from simpleindex.core.views import MAIN_VIEW

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.core.names import ProjectName

_NOBODY: Final[Mapping[str, tuple[str, ...]]] = {}


@dataclass(frozen=True, slots=True)
class IndexDescription:
    """Facts about an index, beside its projects, that pages show.

    Attributes:
        has_private_ca: Whether clients need the certificate of the private CA.
        unlisted: By view, the upstreams whose projects can be installed and are not in the list of projects.
        views: The names of all views, that of the index at the root first.
        has_people_pages: Whether browsers get other pages at the addresses without the customary prefix.
    """

    has_private_ca: bool = False
    unlisted: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NOBODY)
    views: tuple[str, ...] = (MAIN_VIEW,)
    has_people_pages: bool = False


NOTHING_MORE: Final = IndexDescription()
"""The description of an index without a private CA, upstreams and views."""


def install_command(project: str, about: IndexDescription) -> str:
    """Return how pip installs a project, without the index's URL, which only the reader's browser knows."""
    return f"pip install{' --cert ca.pem' if about.has_private_ca else ''} {project}"


def ca_note(about: IndexDescription, way: str) -> str:
    """Return where the CA's certificate is, while clients need it.

    Args:
        about: The index.
        way: From the page to its list of projects, as a relative URL.
    """
    if not about.has_private_ca:
        return ""
    link = _link(f"{way}-/ca.pem", "/-/ca.pem")
    return (
        f'<p class="note">The server\'s certificate comes from a private CA: save {link} as ca.pem, and compare its fingerprint with '
        "the one in the server's log.</p>\n"
    )


def why_link(project: ProjectName, view: str) -> str:
    """Return the link from a project's page to its explanation."""
    query = "" if view == MAIN_VIEW else f"?view={view}"
    return _link(f"../-/why/{project}", f"/-/why/{project}{query}")


def surroundings(about: IndexDescription, view: str) -> str:
    """Return what else can be installed from a list of projects, and the lists of other views."""
    notes = ""
    if upstreams := about.unlisted.get(view, ()):
        names = ", ".join(f"<b>{escape(name)}</b>" for name in upstreams)
        notes += f'<p class="note">The projects of {names} can be installed from here too; they are not all listed.</p>\n'
    if others := [name for name in about.views if name != view]:
        links = ", ".join(_link(f"-/view/{name}", name) for name in others)
        notes += f'<p class="note">Other indexes on this server: {links}</p>\n'
    return notes


def _link(url: str, text: str) -> str:
    return f'<span data-href="{escape(url)}">{escape(text)}</span>'
