"""The rules of an access file, as values; :mod:`simpleindex.access.rights` decides with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from simpleindex.core.patterns import ALL, FirstMatch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from simpleindex.access.identity import Action, Identity
    from simpleindex.core.names import ProjectName

ANYONE_WORD: Final = "anyone"
AUTHENTICATED_WORD: Final = "authenticated"
OWNER_WORD: Final = "owner"

WHO_WORDS: Final = (ANYONE_WORD, AUTHENTICATED_WORD, OWNER_WORD)
"""Words of a rule that stand for groups of users; a rule cannot mean a user of such a name."""

GROUP_PREFIX: Final = "group:"
TOKEN_PREFIX: Final = "token:"  # noqa: S105 (a word of the file, no secret)


@dataclass(frozen=True, slots=True)
class Principals:
    """The principals that a rule lists for an action.

    Attributes:
        words: The words in the file: users, ``group:NAME``, ``token:ID`` and those of :data:`WHO_WORDS`.
        groups: The users of each group among them, by its word.
        anyone: Whether the list is open to those without a login.
        owner: Whether the list has the owner of the project.
    """

    words: tuple[str, ...] = ()
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    anyone: bool = field(init=False, repr=False, compare=False)
    owner: bool = field(init=False, repr=False, compare=False)
    _users: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        users = {member: word for word, members in self.groups.items() for member in members}
        users |= {word: word for word in self.words if ":" not in word and word not in WHO_WORDS}
        object.__setattr__(self, "_users", users)
        object.__setattr__(self, "anyone", ANYONE_WORD in self.words)
        object.__setattr__(self, "owner", OWNER_WORD in self.words)

    def word_for(self, identity: Identity) -> str | None:
        """Return the word that lists this identity, apart from the owner's, or None."""
        if identity.user is not None and identity.user in self._users:
            return self._users[identity.user]
        if identity.token is not None and f"{TOKEN_PREFIX}{identity.token.id}" in self.words:
            return f"{TOKEN_PREFIX}{identity.token.id}"
        if identity.authenticated and AUTHENTICATED_WORD in self.words:
            return AUTHENTICATED_WORD
        return ANYONE_WORD if self.anyone else None


@dataclass(frozen=True, slots=True)
class AccessRule:
    """One rule of the access file.

    Attributes:
        number: Its position in the file, from 1; 0 for the default rule.
        projects: Patterns, as :func:`simpleindex.core.patterns.parse_pattern` returns them.
        who: The principals by action; later rules decide about other actions.
        uploads: Checks of uploads: values by attribute of :class:`simpleindex.access.identity.UploadRules`.
    """

    number: int
    projects: tuple[str, ...]
    who: Mapping[Action, Principals]
    uploads: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Grant:
    """What one rule gives an identity for one action.

    Attributes:
        projects: The patterns of the rule.
        allowed: Whether the identity may act on every project of the rule.
        as_owner: Whether it may act on those of them that it owns.
    """

    projects: tuple[str, ...]
    allowed: bool
    as_owner: bool


class ActionRules:
    """The rules that name one action, compiled, up to the first one for all projects, which must exist.

    Attributes:
        rules: The rules in their order.
        lists: The principals of each rule for the action.
    """

    __slots__ = ("_first", "lists", "rules")

    def __init__(self, action: Action, rules: Sequence[AccessRule]) -> None:
        naming = [rule for rule in rules if action in rule.who]
        last = next(index for index, rule in enumerate(naming) if ALL in rule.projects)
        self.rules: Final = tuple(naming[: last + 1])
        self.lists: Final = tuple(rule.who[action] for rule in self.rules)
        self._first: Final = FirstMatch([rule.projects for rule in self.rules])

    def position(self, name: ProjectName) -> int:
        """Return which of the rules decides about this project."""
        found = self._first.find(name)
        assert found is not None
        return found

    def rule(self, name: ProjectName) -> AccessRule:
        """Return the rule that decides about this project."""
        return self.rules[self.position(name)]
