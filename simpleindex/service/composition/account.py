"""Composition of the pages of a person's account: logging in and out, and the person's tokens."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simpleindex.web.people.account.account_forms import AccountForms
from simpleindex.web.people.account.account_page import AccountPage
from simpleindex.web.people.account.login_page import LoginPage
from simpleindex.web.people.account.logout_page import LogoutForm, LogoutPage
from simpleindex.web.publish.writers import Writers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simpleindex.service.composition.logins import Logins
    from simpleindex.service.runtime import Runtime
    from simpleindex.web.http.response import OwnPageChanges
    from simpleindex.web.people.pages import PeoplePage
    from simpleindex.web.people.renderer import PageRenderer


@dataclass(frozen=True)
class AccountPages:
    """The pages of accounts.

    Attributes:
        pages: The pages, by the first segment behind ``/-/``.
        forms: Take their forms.
    """

    pages: Mapping[str, PeoplePage]
    forms: Mapping[str, OwnPageChanges]


def compose_account(
    runtime: Runtime, logins: Logins, renderer: PageRenderer, index_url: Callable[[], str | None]
) -> AccountPages:
    """Create the pages.

    Args:
        runtime: What all parts share.
        logins: Users, tokens and rights.
        renderer: Renders templates.
        index_url: Returns the URL of the index, if it is certain.
    """
    admission = logins.admission
    page = AccountPage(renderer, lambda: admission.access, logins.tokens, time.time)
    forms = AccountForms(
        page,
        admission,
        Writers(admission, index_url),
        logins.tokens,
        logins.audit.record,
        runtime.threads.writes,
    )
    logout = LogoutPage(renderer)
    return AccountPages(
        {"login": LoginPage(index_url), "logout": logout, "account": page},
        {"account": forms, "logout": LogoutForm(logout, admission, index_url)},
    )
