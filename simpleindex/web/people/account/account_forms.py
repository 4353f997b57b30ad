"""Do what the forms of ``/-/account/`` request: make a token, or revoke one."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from simpleindex.access.errors import FormWasSent, TooManyTokens
from simpleindex.access.token_options import InvalidTokenOption, describe_token, parse_token_options
from simpleindex.core.audit_entry import AuditEntry
from simpleindex.core.errors import NotAllowed, NotHere
from simpleindex.core.patterns import ALL
from simpleindex.core.text import shown
from simpleindex.publishing.errors import RefusedUpload
from simpleindex.web.http.response import see_other, sentence
from simpleindex.web.people.account.account_page import AccountChange, TokenForm
from simpleindex.web.people.page_request import PageRequest
from simpleindex.web.publish.sinks import TextSink
from simpleindex.web.routing.routes import OwnPageRoute

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.access.identity import Identity
    from simpleindex.access.token_options import TokenOptions
    from simpleindex.records.tokens import TokenTable
    from simpleindex.system.threads import Threads
    from simpleindex.web.admission import Admission
    from simpleindex.web.http.response import RequestInfo, Response
    from simpleindex.web.people.account.account_page import AccountPage
    from simpleindex.web.publish.writers import Writers

_MOST: Final = 16 * 1024
"""Bytes of a form."""

_MOST_FIELDS: Final = 20

_LONGEST_PROJECTS: Final = 1_000
"""Characters of the patterns of a token that is made here, as the form has it too; they stand in every list of tokens."""

_ONCE: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")
"""The one-time value of a form, as the page makes it."""

_TYPE: Final = "application/x-www-form-urlencoded"

_LABELS: Final = {"can": "What it may do", "projects": "Projects", "expires": "Expiry", "note": "Note"}


class AccountForms:
    """Makes and revokes tokens of those who log in with a password.

    A token makes none: one that leaked could outlive its revocation.

    Args:
        page: Shows the result.
        admission: Decides who may do what.
        writers: Identifies who sends a form, and refuses other sites' pages.
        tokens: The tokens.
        record: Writes the audit.
        threads: Threads that write records.
    """

    def __init__(
        self,
        page: AccountPage,
        admission: Admission,
        writers: Writers,
        tokens: TokenTable,
        record: Callable[[AuditEntry], object],
        threads: Threads,
    ) -> None:
        self._page = page
        self._admission = admission
        self._writers = writers
        self._tokens = tokens
        self._record = record
        self._threads = threads

    async def judge(self, request: RequestInfo, length: int | None) -> TextSink:
        """Judge a request's head, and return what takes its body.

        Raises:
            SimpleIndexError: It is refused.
        """
        await self._identify(request)
        if length is not None and length > _MOST:
            raise RefusedUpload(413, f"The form is longer than {_MOST >> 10} KiB.")
        return TextSink(_MOST)

    async def answer(self, page: str, request: RequestInfo) -> Response:
        """Answer a form.

        Raises:
            SimpleIndexError: It is refused.
        """
        if page:
            raise NotHere("page")
        if request.method != "POST":
            return sentence(405, "Send the form by POST.", ("Allow", "GET, HEAD, OPTIONS, POST"))
        user, identity = await self._identify(request)
        fields = await _fields(request)
        source = self._admission.reading(identity)
        page_request = PageRequest(OwnPageRoute("account/"), request, identity, source)
        if "revoke" in fields:
            return await self._revoke(user, fields["revoke"][-1], page_request)
        return await self._create(user, fields, page_request)

    async def _identify(self, request: RequestInfo) -> tuple[str, Identity]:
        identity = await self._writers.identify(request)
        if identity.user is None or identity.token is not None:
            raise NotAllowed("A token cannot make or revoke tokens: log in with your user name and password.")
        return identity.user, identity

    async def _create(self, user: str, fields: dict[str, list[str]], request: PageRequest) -> Response:
        form = TokenForm(
            tuple(fields.get("can", ())),
            *(fields.get(name, [""])[-1].strip() for name in ("projects", "expires", "note")),
        )
        if len(form.projects) > _LONGEST_PROJECTS:
            text = f"Projects: at most {_LONGEST_PROJECTS:,} characters; {ALL} stands for any others."
            return await self._refuse(request, form, text, 400)
        try:
            options = parse_token_options(
                form.can, [form.projects], form.expires, form.note, self._page.now()
            )
        except InvalidTokenOption as error:
            label = _LABELS[error.option]
            return await self._refuse(request, form, f"{label}: {error.reason}.", 400)
        possible = self._admission.access.possible_actions(request.reader)
        if denied := [action.value for action in options.actions if action not in possible]:
            text = f"None of your rights include {', '.join(denied)}, so your tokens cannot have it."
            return await self._refuse(request, form, text, 403)
        return await self._make(user, form, options, fields.get("once", [""])[-1], request)

    async def _make(
        self, user: str, form: TokenForm, options: TokenOptions, once: str, request: PageRequest
    ) -> Response:
        if not _ONCE.fullmatch(once):
            text = "This form lacks its one-time value: send it once more, as it stands below."
            return await self._refuse(request, form, text, 400)
        now = self._page.now()
        try:
            token, secret = await self._threads.run(
                partial(self._tokens.create, user, options, now, form=once)
            )
        except (FormWasSent, TooManyTokens) as error:
            return await self._refuse(request, form, str(error), 409)
        self._audit("token-created", token.id, describe_token(token), request)
        return await self._page.answer_change(request, AccountChange(created=token, secret=secret))

    async def _revoke(self, user: str, id_: str, request: PageRequest) -> Response:
        token = next((token for token in self._tokens.of_user(user) if token.id == id_), None)
        if token is None:
            return await self._refuse(request, TokenForm(), f"You have no token {shown(id_)}.", 404)
        if token.revoked is None:
            before = await self._threads.run(self._tokens.revoke, token.id, self._page.now())
            if before is not None and before.revoked is None:
                self._audit("token-revoked", token.id, describe_token(token), request)
        # To load the page again then sends no form again.
        return see_other("./")

    async def _refuse(self, request: PageRequest, form: TokenForm, error: str, status: int) -> Response:
        return await self._page.answer_change(request, AccountChange(form, error, status))

    def _audit(self, event: str, token: str, detail: str, request: PageRequest) -> None:
        entry = AuditEntry(
            event, who=request.reader.user, token=token, address=request.info.address, detail=detail
        )
        self._record(entry)


async def _fields(request: RequestInfo) -> dict[str, list[str]]:
    """Return the fields of a form with their values.

    Raises:
        RefusedUpload: It is no such form.
    """
    media_type = (request.header("content-type") or "").partition(";")[0].strip().lower()
    if request.body is None or media_type != _TYPE:
        raise RefusedUpload(415, f"This page takes its own form ({_TYPE}).")
    sink = await request.body.sink()
    assert isinstance(sink, TextSink)  # from judge
    try:
        return parse_qs(sink.content.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise RefusedUpload(400, "The form cannot be read.") from None
