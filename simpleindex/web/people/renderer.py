"""Render templates to responses: compressed, with an ETag, and kept as long as what they were rendered from."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from functools import cache, partial
from operator import is_
from typing import TYPE_CHECKING, Any, Final

from simpleindex.access.identity import ANYONE
from simpleindex.core.caches import SizedCache
from simpleindex.core.model import Project, ProjectList
from simpleindex.core.views import MAIN_VIEW
from simpleindex.web.conditional import not_modified
from simpleindex.web.http.response import Response
from simpleindex.web.pages.negotiation import Encoding, choose_encoding
from simpleindex.web.people.filters import FILTERS
from simpleindex.web.people.navigation import VARYING
from simpleindex.web.people.page_request import PageForm
from simpleindex.web.people.static_files import static_url
from simpleindex.web.routing.targets import way_to_root

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from jinja2 import Environment

    from simpleindex.access.identity import Identity
    from simpleindex.system.threads import Threads
    from simpleindex.web.http.problems import Problem
    from simpleindex.web.http.response import RequestInfo
    from simpleindex.web.people.page_request import PageRequest

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of people's pages: nothing inline, and nothing from elsewhere, so that no other server gets a reader's
address by an image of a description."""

_EVERYWHERE: Final = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("Referrer-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
    # No other site's page embeds it, and learns by that whether its reader may see a project.
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
_OPENER: Final = ("Cross-Origin-Opener-Policy", "same-origin")
"""The site that opened a page in another window learns nothing of it. Over plain HTTP browsers ignore it with an error in the console."""

_HEADERS: Final = {False: _EVERYWHERE, True: (*_EVERYWHERE, _OPENER)}
"""By whether a browser deems the connection trustworthy."""

_VARY: Final = ("Vary", f"Accept, Accept-Encoding, Origin, Sec-Fetch-Mode, {VARYING}")

# Control characters, which HTML can hold not even as references, and lone surrogates, which UTF-8 cannot hold.
_UNWRITABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")

_SOURCES_SHARE: Final = 8
"""A kept page is weighed with one byte for so many of its characters before they were compressed: what it was made from stays too."""


@dataclass(frozen=True, slots=True)
class SiteDescription:
    """What every page shows of the index.

    Attributes:
        title: The name of the index.
        views: The names of all views, that of the index at the root first.
        can_log_in: Whether there are users.
    """

    title: str = "Package index"
    views: tuple[str, ...] = (MAIN_VIEW,)
    can_log_in: bool = False


@dataclass(frozen=True, slots=True)
class PageContent:
    """The content of a page.

    Attributes:
        template: The name of its template.
        values: Returns the variables of the template; called in a thread.
        key: The page, without its reader and view; None for pages that are rendered for each request.
        sources: The values that the variables are made from; a kept page is good as long as they are equal; projects and
            lists of projects as long as they are these very objects.
        is_kept_by_clients: Whether browsers may keep the page and ask whether it has changed.
    """

    template: str
    values: Callable[[], Mapping[str, Any]]
    key: Hashable = None
    sources: tuple[object, ...] = ()
    status: int = 200
    is_kept_by_clients: bool = True


@dataclass(frozen=True, slots=True)
class RenderedPage:
    """A page as it is sent.

    Attributes:
        sources: As in :class:`PageContent`.
        body: In its content encoding.
        etag: Made from the content.
        weight: Bytes of memory, roughly.
    """

    sources: tuple[object, ...]
    body: bytes
    etag: str
    weight: int


@cache
def _templates() -> Environment:
    """Return the templates, each compiled once in a process."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415  (20 ms of a start)

    environment = Environment(
        loader=PackageLoader("simpleindex.web.people"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= FILTERS
    return environment


class PageRenderer:
    """Renders templates.

    Args:
        encodings: The content encodings that can be made, with their compressors, best first.
        threads: Render the pages: strangers write what is in them, and some take a second.
        cache_size: The largest number of bytes of rendered pages that are kept.
        site: What every page shows of the index.
    """

    def __init__(
        self,
        encodings: Mapping[Encoding, Callable[[bytes], bytes]],
        threads: Threads,
        cache_size: int,
        site: SiteDescription | None = None,
    ) -> None:
        self._encodings = encodings
        self._threads = threads
        self._pages: SizedCache[Hashable, RenderedPage] = SizedCache(cache_size, lambda page: page.weight)
        self.site = site or SiteDescription()

    def choose(self, header: Callable[[str], str | None]) -> PageForm:
        """Return the form in which a browser gets pages.

        Args:
            header: Returns a field's value by its name in lower case, or None.
        """
        encoding = choose_encoding(header("accept-encoding"), (*self._encodings, Encoding.IDENTITY))
        coding = () if encoding is Encoding.IDENTITY else (("Content-Encoding", encoding.value),)
        return PageForm(encoding, coding, _is_trustworthy(header))

    async def answer(self, request: PageRequest, content: PageContent) -> Response:
        """Return a page as the response to a request: whole, or 304 where the browser has it already."""
        form = request.form or self.choose(request.info.header)
        page = await self._rendered(request, content, form)
        caching = ("Cache-Control", "private, no-cache" if content.is_kept_by_clients else "no-store")
        tag = (("ETag", page.etag),) if content.is_kept_by_clients else ()
        if tag and not_modified(request.info.header("if-none-match"), None, page.etag, None):
            return Response(304, (*tag, caching, _VARY), is_private=True)
        return Response(
            content.status,
            (*_HEADERS[form.is_trustworthy], *tag, caching, _VARY, *form.coding),
            page.body,
            is_private=True,
        )

    def problem(self, response: Response, problem: Problem, info: RequestInfo) -> Response:
        """Return a refusal as a page; the status and the other headers stay."""
        root = way_to_root(info.target)
        home = root if problem.view == MAIN_VIEW else f"{root}{problem.view}/"
        values = {
            "root": root,
            "home": home,
            "view": problem.view,
            "reader": _reader(info),
            "problem": problem,
        }
        body = self._html("problem.html", values).encode()
        replaced = {name for name, _ in _HEADERS[False]} | {"Vary"}
        kept = tuple(item for item in response.headers if item[0] not in replaced)
        return Response(
            response.status, (*_HEADERS[_is_trustworthy(info.header)], _VARY, *kept), body, is_private=True
        )

    def rename(self, title: str) -> None:
        """Change the name of the index."""
        self.site = replace(self.site, title=title)

    def forget(self) -> None:
        """Render every page again, after a change of settings."""
        self._pages.clear()

    async def _rendered(self, request: PageRequest, content: PageContent, form: PageForm) -> RenderedPage:
        if content.key is None:
            return await self._render(request, content, form.encoding)
        # Texts instead of an identity and an encoding, whose hashes take a call of a function each.
        reader = request.reader
        key = (content.key, request.root, request.view, reader.user, reader.token, form.coding)
        sources = (*content.sources, self.site)
        kept = self._pages.get(key)
        if kept is not None and _are_same(kept.sources, sources):
            return kept
        page = await self._render(request, content, form.encoding)
        self._pages.put(key, page)
        return page

    async def _render(self, request: PageRequest, content: PageContent, encoding: Encoding) -> RenderedPage:
        return await self._threads.run(self._make, request, content, encoding)

    def _make(self, request: PageRequest, content: PageContent, encoding: Encoding) -> RenderedPage:
        body = self._html(content.template, {**request.addresses, **content.values()}).encode()
        tag, characters = hashlib.sha256(body).hexdigest()[:32], len(body)
        if encoding is not Encoding.IDENTITY:
            body, tag = self._encodings[encoding](body), f"{tag}-{encoding.value}"
        weight = len(body) + characters // _SOURCES_SHARE
        return RenderedPage((*content.sources, self.site), body, f'"p{tag}"', weight)

    def _html(self, template: str, values: Mapping[str, Any]) -> str:
        root = values["root"]
        common = {"site": self.site, "static": partial(static_url, root)}
        return _UNWRITABLE.sub("\ufffd", _templates().get_template(template).render({**common, **values}))


def _is_trustworthy(header: Callable[[str], str | None]) -> bool:
    """Tell whether a browser deems the connection trustworthy: it sends this field then, and obeys the policy of openers."""
    return header("sec-fetch-dest") is not None


def _reader(info: RequestInfo) -> Identity:
    """Return who was identified before a request was refused."""
    return ANYONE if info.record is None else info.record.identity


def _are_same(before: tuple[object, ...], now: tuple[object, ...]) -> bool:
    # Projects and lists of projects are the same object as long as nothing changed; to compare them would take long.
    if len(before) != len(now):
        return False
    if all(map(is_, before, now)):
        return True  # Nearly always, and seen in one call.
    return all(
        old is new or (not isinstance(old, Project | ProjectList) and old == new)
        for old, new in zip(before, now, strict=True)
    )
