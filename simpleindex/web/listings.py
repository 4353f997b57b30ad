"""The listings: negotiated, rendered once, compressed once, revalidated by their content."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_plus

from simpleindex.core.caches import SizedCache
from simpleindex.core.model import Project
from simpleindex.core.stepping import WorkInProgress
from simpleindex.core.views import MAIN_VIEW
from simpleindex.system.single_flight import SingleFlight
from simpleindex.web.conditional import not_modified
from simpleindex.web.http.response import Response
from simpleindex.web.listing_forms import ListingForm, RenderedListing
from simpleindex.web.pages.negotiation import (
    Encoding,
    NotAcceptable,
    Representation,
    choose_encoding,
    choose_representation,
)
from simpleindex.web.pages.simple_html import project_html, root_html
from simpleindex.web.pages.simple_json import project_json, root_json
from simpleindex.web.pages.templates import content_security_policy
from simpleindex.web.people.navigation import VARYING
from simpleindex.web.routing.targets import split_target

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from simpleindex.core.model import ProjectList
    from simpleindex.core.source import Source
    from simpleindex.web.http.response import RequestInfo
    from simpleindex.web.listing_forms import Subject
    from simpleindex.web.pages.notes import IndexDescription
    from simpleindex.web.prepared_lists import PreparedLists
    from simpleindex.web.routing.routes import ProjectRoute, RootRoute

    Page = RootRoute | ProjectRoute
    # The view; a project's name, or which readers' list of projects (None for everybody's); the form.
    Key = tuple[str, Hashable, "ListingForm"]

# docs/protocol.md, "Caching": pip from 26.2 on obeys this, so anything longer would hide a new upload.
_REVALIDATE: Final = ("Cache-Control", "no-cache")
_VARY: Final = ("Vary", "Accept, Accept-Encoding, Origin, Sec-Fetch-Mode")
_VARY_WITH_PEOPLE: Final = (_VARY[0], f"{_VARY[1]}, {VARYING}")

_OF_SCRIPTS: Final = frozenset({"cors", "same-origin"})
"""Modes of a browser's requests that a script in a page makes; a page's own host gets no Origin with GET (Fetch standard)."""

_FORMAT: Final = b"format="

_WORTH_A_THREAD: Final = 300
"""Files or projects on a page; above it rendering takes more than a few milliseconds."""

WORTH_A_FILE: Final = 5_000
"""Projects of a list; above it, from 300 kB on, the list is rendered into a file."""

_PAUSE: Final = 1e-5
"""Seconds between two pieces of a very large page, which is rendered in a thread."""


class Listings:
    """The list of projects and each project's page.

    Args:
        public: The source of each view as an anonymous reader sees it, for :meth:`begin`.
        base_url: ``--url``, where the protocol demands absolute URLs.
        description: Facts about the index that pages show.
        encodings: Content encodings that can be made, with their compressors, best first.
        cache_size: Bytes of rendered pages kept at most.
        prepared: Renders very long lists of projects; its threads render other large pages.
    """

    def __init__(
        self,
        public: Mapping[str, Source],
        *,
        base_url: str | None,
        encodings: dict[Encoding, Callable[[bytes], bytes]],
        cache_size: int,
        prepared: PreparedLists,
        description: IndexDescription,
    ) -> None:
        self._public = public
        # Of 40 clients that request a new large page at once, each would render and hold a copy of its own.
        self._renderings = SingleFlight()
        self._prepared = prepared
        self._encodings = encodings
        self._forms = {
            (representation, encoding, is_absolute): ListingForm(representation, encoding, is_absolute)
            for representation in Representation
            for encoding in (*encodings, Encoding.IDENTITY)
            for is_absolute in (False, True)
        }
        self.base_url = self.files_url = base_url
        self.description = description
        self._cache = _page_cache(cache_size)
        self._rendered_pages = 0
        self._in_progress: WorkInProgress[RenderedListing] = WorkInProgress()

    def forget(self, *, base_url: str | None, files_url: str | None, cache_size: int) -> None:
        """Take new settings; every page is rendered again.

        Args:
            base_url: As for the constructor.
            files_url: The same where clients elsewhere surely reach the index by it, else None.
            cache_size: As for the constructor.
        """
        self.base_url = base_url
        self.files_url = files_url
        self._cache = _page_cache(cache_size)
        self._prepared.forget()

    def describe(self, description: IndexDescription) -> None:
        """Take the facts about the index that pages show; a new description renders them again."""
        if description != self.description:
            self.description = description
            self._cache = _page_cache(self._cache.limit)
            self._prepared.forget()

    @property
    def cached_bytes(self) -> int:
        """The bytes of rendered pages that are kept."""
        return self._cache.size

    @property
    def renderings(self) -> int:
        """How many pages were rendered because there was none, or an older one."""
        return self._rendered_pages + self._prepared.renderings

    @property
    def views(self) -> Mapping[str, object]:
        """The views by name."""
        return self._public

    async def answer(self, page: Page, request: RequestInfo, source: Source) -> Response:
        """Answer a request for a view's list of projects, or for one project's page."""
        try:
            form = self._form_for(request)
        except NotAcceptable:
            await self._subject(page, source)  # A page that is not here is not here in any form (404).
            raise
        started = self._in_progress.take((page, form)) if source is self._public[page.view] else None
        rendered = await (self.page(page, form, source) if started is None else started.rest())
        stale = rendered.subject.stale
        if not_modified(request.header("if-none-match"), None, rendered.etag, None):
            return self.unchanged(page, rendered.etag, stale=stale)
        body = rendered.body if rendered.open_file is None else rendered.open_file()
        return replace(self.full(page, rendered.etag, form, stale=stale), body=body)

    def begin(self, page: Page, form: ListingForm) -> RenderedListing | None:
        """Return the page for an anonymous request that is not parsed yet, or None if it has to be waited for.

        An answer that has to wait is continued by :meth:`answer` for the same request, which must follow in the same turn
        of the reactor; :meth:`drop_started` comes after that.

        Raises:
            SimpleIndexError: As :meth:`page`, if the source answers at once.
        """
        work = self.page(page, form, self._public[page.view])
        try:
            waits_for = work.send(None)
        except StopIteration as end:
            rendered: RenderedListing = end.value
            return rendered
        # Not by its begin(), which would be a call more with every page.
        self._in_progress.keep((page, form), work, waits_for)
        return None

    def drop_started(self) -> None:
        """Drop an answer that was started, if nothing has continued it."""
        self._in_progress.drop()

    def choose(
        self,
        accept: str | None,
        query_format: str | None,
        accept_encoding: str | None,
        *,
        is_for_script: bool = False,
    ) -> ListingForm:
        """Return the form in which a client gets a page.

        Args:
            accept: The header of that name.
            query_format: The value of ``?format=``.
            accept_encoding: The header of that name.
            is_for_script: Whether a script in a web page sent the request.

        Raises:
            NotAcceptable: The client accepts none of the forms.
        """
        offered = (*self._encodings, Encoding.IDENTITY)
        representation = choose_representation(accept, query_format)
        is_absolute = is_for_script and self.files_url is not None and representation is Representation.JSON
        return self._forms[representation, choose_encoding(accept_encoding, offered), is_absolute]

    async def page(self, page: Page, form: ListingForm, source: Source) -> RenderedListing:
        """Return a page as it is now, in one form; at once if it is rendered and the source answers at once.

        Args:
            page: The list of projects, or one project.
            form: Chosen by :meth:`choose`.
            source: The view as the reader sees it.

        Raises:
            SimpleIndexError: The source does not have it, or is unavailable.
        """
        subject: Subject
        if page.name is None:
            subject = listed = await source.projects()
            key: Key = page.view, listed.view, form
            if len(listed.names) > WORTH_A_FILE:
                prepared = await self._prepared.listing(key, listed, lambda: self._list(key, listed))
                if prepared is not None:
                    return prepared
        else:
            subject = await source.project(page.name)
            key = page.view, page.name, form
        # Nearly always it is this, and it is looked for with every page: a coroutine for it would cost more than the look.
        kept = self._cache.get(key)
        return kept if kept is not None and kept.subject is subject else await self._rendered(key, subject)

    @staticmethod
    async def _subject(page: Page, source: Source) -> Subject:
        return await source.projects() if page.name is None else await source.project(page.name)

    def full(self, page: Page, etag: str, form: ListingForm, *, stale: bool = False) -> Response:
        """Return the head of a whole page."""
        has_people_pages = self.description.has_people_pages and not page.is_simple
        vary = _VARY_WITH_PEOPLE if has_people_pages else _VARY
        headers = [("Content-Type", form.representation.value), ("ETag", etag), _caching(stale=stale), vary]
        if form.encoding is not Encoding.IDENTITY:
            headers.append(("Content-Encoding", form.encoding.value))
        headers.append(("X-Content-Type-Options", "nosniff"))
        if form.representation is not Representation.JSON:
            headers.append(("Content-Security-Policy", content_security_policy))
            headers.append(("Referrer-Policy", "no-referrer"))
        return Response(200, tuple(headers))

    def unchanged(self, page: Page, etag: str, *, stale: bool = False) -> Response:
        """Return the answer to a client that has the page already."""
        has_people_pages = self.description.has_people_pages and not page.is_simple
        vary = _VARY_WITH_PEOPLE if has_people_pages else _VARY
        return Response(304, (("ETag", etag), _caching(stale=stale), vary))

    def _form_for(self, request: RequestInfo) -> ListingForm:
        _, query = split_target(request.target)
        return self.choose(
            request.header("accept"),
            _format(query),
            request.header("accept-encoding"),
            is_for_script=request.header("origin") is not None
            or (request.header("sec-fetch-mode") or "").lower() in _OF_SCRIPTS,
        )

    async def _rendered(self, key: Key, subject: Subject) -> RenderedListing:
        # Not the one that forget() puts in its place while a page is made with the old settings.
        cache = self._cache
        self._rendered_pages += 1
        entries = len(subject.files) if isinstance(subject, Project) else len(subject.names)
        if entries > _WORTH_A_THREAD:
            return await self._rendered_in_thread(key, subject, cache)
        rendered = self._render(key, subject)
        cache.put(key, rendered)
        return rendered

    async def _rendered_in_thread(
        self, key: Key, subject: Subject, cache: SizedCache[Key, RenderedListing]
    ) -> RenderedListing:
        async def render() -> RenderedListing:
            rendered: RenderedListing = await self._prepared.threads.run(self._render, key, subject)
            cache.put(key, rendered)
            return rendered

        rendering: RenderedListing = await self._renderings.run((key, id(subject), id(cache)), render)
        return rendering

    def _render(self, key: Key, subject: Subject) -> RenderedListing:
        view, _, form = key
        base_url, files_url = (self._url_of(view, url) for url in (self.base_url, self.files_url))
        if not isinstance(subject, Project):
            body = b"".join(self._list(key, subject))
        elif form.representation is Representation.JSON:
            body = project_json(subject, base_url, files_url if form.is_absolute else None, _pause)
        else:
            body = project_html(subject, base_url, view, self.description)
        tag = form.tag((body,))
        if form.encoding is not Encoding.IDENTITY:
            body = self._encodings[form.encoding](body)
        return RenderedListing(subject, body, f'"{tag}"')

    def _list(self, key: Key, listed: ProjectList) -> Iterable[bytes]:
        view, _, form = key
        if form.representation is Representation.JSON:
            return root_json(listed, _pause)
        return root_html(listed, self.description, view, _pause)

    @staticmethod
    def _url_of(view: str, url: str | None) -> str | None:
        return url if url is None or view == MAIN_VIEW else f"{url}{view}/"


def _pause() -> None:
    """Let the reactor's thread take its turn: else it waits for each until it is given the interpreter (`system/threads.py`)."""
    time.sleep(_PAUSE)


def _page_cache(size: int) -> SizedCache[Key, RenderedListing]:
    return SizedCache(size, lambda page: len(page.body))


def _caching(*, stale: bool) -> tuple[str, str]:
    # A stale answer is not kept: the source behind it may be back at any moment.
    return ("Cache-Control", "no-store") if stale else _REVALIDATE


def _format(query: bytes) -> str | None:
    """Return the one value of ``?format=`` (docs/protocol.md, "Content negotiation"); none if there are several."""
    values = [field[len(_FORMAT) :] for field in query.split(b"&") if field.startswith(_FORMAT)]
    return unquote_plus(values[0].decode("latin-1")) if len(values) == 1 else None
