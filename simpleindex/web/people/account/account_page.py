"""``/-/account/``: who the reader is, what the reader may do, the reader's tokens, and the form for a new one."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from simpleindex.access.errors import Unauthenticated
from simpleindex.access.identity import Action, Identity
from simpleindex.access.messages import granted_projects
from simpleindex.access.token_options import DEFAULT_EXPIRY
from simpleindex.core.errors import NotHere
from simpleindex.core.patterns import ALL
from simpleindex.records.tokens import MOST_USABLE
from simpleindex.web.http.response import see_other
from simpleindex.web.people.renderer import PageContent
from simpleindex.web.routing.routes import OwnPageRoute

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simpleindex.access.logins.credentials import Token
    from simpleindex.access.rights import Access
    from simpleindex.records.tokens import TokenTable
    from simpleindex.web.http.response import Response
    from simpleindex.web.people.page_request import PageRequest
    from simpleindex.web.people.renderer import PageRenderer

_EXPIRIES: Final = {
    "1d": "in one day",
    "7d": "in a week",
    "30d": "in 30 days",
    "90d": "in 90 days",
    DEFAULT_EXPIRY: "in a year",
    "never": "never",
}
"""The choices of the form, as :func:`simpleindex.access.token_options.parse_expiry` takes them."""

_ONCE_BYTES: Final = 16
"""Of the value by which a form that is sent again is recognized; nobody else may meet it by chance."""


@dataclass(frozen=True, slots=True)
class TokenForm:
    """The fields of the form that makes a token, as they are filled in."""

    can: tuple[str, ...] = (Action.UPLOAD.value,)
    projects: str = ALL
    expires: str = DEFAULT_EXPIRY
    note: str = ""


@dataclass(frozen=True, slots=True)
class AccountChange:
    """What the account's page shows of a form that was sent.

    Attributes:
        form: The fields that the form shows.
        error: Why nothing was changed; None if something was.
        created: The token that was made.
        secret: Its secret, which is shown this once.
    """

    form: TokenForm = field(default_factory=TokenForm)
    error: str | None = None
    status: int = 200
    created: Token | None = None
    secret: str | None = field(default=None, repr=False)


class AccountPage:
    """Answers ``/-/account/``.

    Args:
        renderer: Renders its template.
        access: Returns the rights now.
        tokens: The tokens.
        now: The time, seconds since 1970.
    """

    def __init__(
        self,
        renderer: PageRenderer,
        access: Callable[[], Access],
        tokens: TokenTable,
        now: Callable[[], float],
    ) -> None:
        self._renderer = renderer
        self._access = access
        self._tokens = tokens
        self.now = now

    async def answer(self, request: PageRequest) -> Response:
        """Return the page.

        Raises:
            NotHere: There is no such page.
            Unauthenticated: The reader is not logged in.
            Unavailable: The tokens cannot be read now.
        """
        if request.route == OwnPageRoute("account"):
            return see_other("account/")
        if request.route != OwnPageRoute("account/"):
            raise NotHere("page")
        if not request.reader.authenticated:
            raise Unauthenticated("Log in to see your account.")
        return await self.answer_change(request, AccountChange())

    async def answer_change(self, request: PageRequest, change: AccountChange) -> Response:
        """Return the page with what became of a form.

        Raises:
            Unavailable: The tokens cannot be read now.
        """
        values = self._values(request, change)
        content = PageContent(
            "account.html",
            lambda: values,
            status=change.status,
            is_kept_by_clients=False,
        )
        return await self._renderer.answer(request, content)

    def _values(self, request: PageRequest, change: AccountChange) -> Mapping[str, Any]:
        reader, access, now = request.reader, self._access(), self.now()
        # A token has the rights of its user, within limits.
        person = reader if reader.user is None else Identity(reader.user)
        has_password = reader.token is None and reader.user is not None
        tokens = self._tokens.of_user(reader.user) if has_password and reader.user is not None else ()
        return {
            "address": request.info.address,
            # A token of few projects, which may have leaked, does not tell of all others.
            "rights": () if reader.token else [(each.value, _right(access, person, each)) for each in Action],
            "limits": reader.token,
            "actions": list(Action),
            "has_password": has_password,
            "usable": [token for token in tokens if token.refusal(now) is None],
            "ended": [(token, token.refusal(now)) for token in tokens if token.refusal(now) is not None],
            "possible": [action.value for action in access.possible_actions(person)],
            "expiries": _EXPIRIES,
            "most": MOST_USABLE,
            "change": change,
            "once": secrets.token_urlsafe(_ONCE_BYTES),
        }


def _right(access: Access, person: Identity, action: Action) -> str:
    """Say on which projects a person may do something; who may administer one may do everything with it."""
    reads_all = all(grant.allowed for grant in access.grants(person, Action.READ))
    own, by_admin = (
        granted_projects(access.grants(person, each), each, names_others=reads_all)
        for each in (action, Action.ADMIN)
    )
    if action is Action.ADMIN or by_admin == "no project" or own == "every project":
        return own
    if by_admin in own.split("; "):
        return own
    if own == "no project" or by_admin == "every project":
        return f"{by_admin}, by admin"
    return f"{own}; by admin: {by_admin}"
