"""The pages' HTML documents, style sheet and scripts, read from ``static/`` at import, and the policy that pins them.

Nothing is loaded from anywhere else. Neither the style sheet nor a script contains a ``<``: not every client's parser knows
that ``style`` and ``script`` are not markup.
"""

from __future__ import annotations

import base64
import hashlib
import pkgutil
import re
from string import Template
from typing import Final


def _read_script(*names: str) -> str:
    """Return scripts as they stand in a page: without indentation, and without the comments that explain them."""
    lines = [line.strip() for name in names for line in read_static_file(name).decode().splitlines()]
    return "\n".join(["", *(line for line in lines if not line.startswith("//")), ""])


def _read_style(name: str) -> str:
    """Return a style sheet as it stands in a page: without the white space that only its readers need."""
    lines = [line.strip() for line in read_static_file(name).decode().splitlines()]
    return re.sub(r"(?<=[{:,]) | (?=\{)|;(?=\})", "", "".join(lines))


def read_static_file(name: str) -> bytes:
    """Return a file of ``static/``."""
    data = pkgutil.get_data("simpleindex.web.pages", f"static/{name}")
    assert data is not None, "the package can be read where it lies"
    return data


def read_template(name: str) -> Template:
    """Return a document of ``static/``, in which ``$name`` stands for HTML."""
    return Template(read_static_file(name).decode())


STYLE: Final = _read_style("style.css")
ROOT_SCRIPT: Final = _read_script("links.js", "projects.js")
PROJECT_SCRIPT: Final = _read_script("links.js", "project.js")

_FRAME: Final = read_template("frame.html")


def html_page(title: str, body: str, *, metas: str = "") -> str:
    """Return a whole page.

    It has neither a ``base`` tag nor anchors outside of ``body``: clients obey and follow those.

    Args:
        title: As HTML, as the others.
        body: What stands in ``body``.
        metas: ``meta`` elements, a line each.
    """
    return _FRAME.substitute(title=title, body=body, metas=metas, style=STYLE)


def _source(text: str) -> str:
    """Return the name of an inline text in CSP level 2: the digest of what stands between its tags."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


content_security_policy: Final = "; ".join(
    (
        "default-src 'none'",
        f"style-src {_source(STYLE)}",
        f"script-src {_source(ROOT_SCRIPT)} {_source(PROJECT_SCRIPT)}",
        # The empty icon, without which a browser asks for /favicon.ico.
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""The Content-Security-Policy of every HTML page here."""
