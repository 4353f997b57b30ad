"""Identities, the actions on projects, and the limits of tokens and uploads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from simpleindex.core.patterns import matcher

if TYPE_CHECKING:
    from simpleindex.core.names import ProjectName


class Action(Enum):
    """An action on a project."""

    READ = "read"
    UPLOAD = "upload"
    YANK = "yank"
    DELETE = "delete"
    AUDIT = "audit"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class TokenLimits:
    """The limits of a token: it has the rights of its user within these.

    Attributes:
        id: The public id of the token.
        actions: The actions that it allows; ADMIN stands for all of them, as in rules.
        projects: Patterns of names (:mod:`simpleindex.core.patterns`); ``("*",)`` for all.
    """

    id: str
    actions: frozenset[Action]
    projects: tuple[str, ...]

    def allow(self, action: Action) -> bool:
        """Tell whether the token can be used for this on some project."""
        return action in self.actions or Action.ADMIN in self.actions

    def cover(self, name: ProjectName) -> bool:
        """Tell whether the token can be used for something on this project."""
        return matcher(self.projects).find(name) is not None


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity behind a request. Its text is for the audit log: ``alice (token ab12cd34)``.

    Attributes:
        user: The user name; None for an anonymous client, or for a token without a user.
        token: The limits of the token, if there was one.
    """

    user: str | None
    token: TokenLimits | None = None

    @property
    def authenticated(self) -> bool:
        """Whether the client logged in, as a user or with a token."""
        return self.user is not None or self.token is not None

    @property
    def token_id(self) -> str | None:
        """The public id of the token, if there was one."""
        return None if self.token is None else self.token.id

    def __str__(self) -> str:
        if self.token is None:
            return "anonymous" if self.user is None else self.user
        token = f"token {self.token.id}"
        return token if self.user is None else f"{self.user} ({token})"


ANYONE: Final = Identity(None)
"""The identity of a client without credentials."""


@dataclass(frozen=True, slots=True)
class UploadRules:
    """The checks of uploads that an operator can change.

    Attributes:
        local_versions: Whether versions like ``1.0+linux`` may be uploaded (PEP 440; PyPI refuses them).
        max_file_size: Bytes of one file; 0 for no bound.
        max_project_size: Bytes of all files of a project together; 0 for no bound.
        require_record: Whether a wheel needs a RECORD that agrees with it.
        require_matching_tags: Whether a wheel's WHEEL file must name the tags of its file name; None: as ``require_record``,
            an index that takes wheels that were changed after their build takes renamed ones too.
        normalized_names: Whether file names must be normalized (PEP 625; PyPUG "binary-distribution-format").
        overwrite: Whether a file of a name that exists may be replaced.
    """

    local_versions: bool = True
    max_file_size: int = 2 << 30
    max_project_size: int = 0
    require_record: bool = True
    require_matching_tags: bool | None = None
    normalized_names: bool = True
    overwrite: bool = False

    @property
    def tags_must_match(self) -> bool:
        """Whether a wheel that was renamed to other tags is refused."""
        return self.require_record if self.require_matching_tags is None else self.require_matching_tags
