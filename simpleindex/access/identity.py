"""Identities, what can be done with a project, and what a token or an upload is limited to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from simpleindex.core.patterns import matcher

if TYPE_CHECKING:
    from simpleindex.core.names import ProjectName


class Action(Enum):
    """What can be done with a project."""

    READ = "read"
    UPLOAD = "upload"
    YANK = "yank"
    DELETE = "delete"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class TokenLimits:
    """What a token is limited to; its rights are those of its user cut by this.

    Attributes:
        id: The public id of the token.
        actions: What it may be used for; ADMIN stands for everything, as it does in rules.
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
    """Who asks. Its text is for the audit: ``alice (token ab12cd34)``.

    Attributes:
        user: The user's name; None for nobody, or for a token without a user.
        token: The token that was shown, if it was one.
    """

    user: str | None
    token: TokenLimits | None = None

    @property
    def authenticated(self) -> bool:
        """Whether this is somebody: a user, or a token."""
        return self.user is not None or self.token is not None

    def __str__(self) -> str:
        if self.token is None:
            return "anonymous" if self.user is None else self.user
        token = f"token {self.token.id}"
        return token if self.user is None else f"{self.user} ({token})"


ANYONE: Final = Identity(None)
"""Who shows no credentials."""


@dataclass(frozen=True, slots=True)
class UploadRules:
    """The checks of an upload about which people disagree.

    Attributes:
        local_versions: Whether versions like ``1.0+linux`` may be uploaded (PEP 440; PyPI refuses them).
        max_file_size: Bytes of one file; 0 for no bound.
        max_project_size: Bytes of all files of a project together; 0 for no bound.
        require_record: Whether a wheel needs a RECORD that agrees with it.
        require_matching_tags: Whether a wheel's WHEEL file must name the tags of its file name; None: as ``require_record``,
            for who takes wheels that were changed after their building takes renamed ones too.
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
