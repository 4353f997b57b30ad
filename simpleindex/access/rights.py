"""Decide who may do what with which projects (:mod:`simpleindex.access.access_file` parses the rules).

For each action the first rule decides that names the action and matches the project: the users in its list may, all others
may not. An administrator of a project may do everything with it. A public project is readable for everyone: a login, or a
token with limits, never shows less than an anonymous reader sees.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from simpleindex.access import messages as access_text
from simpleindex.access.identity import Action, Identity, UploadRules
from simpleindex.access.rules import (
    ANYONE_WORD,
    AUTHENTICATED_WORD,
    OWNER_WORD,
    AccessRule,
    ActionRules,
    Grant,
    Principals,
)
from simpleindex.core.patterns import ALL, matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from simpleindex.core.names import ProjectName


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision about an action.

    Attributes:
        allowed: Whether it is allowed.
        why: The reason, as a sentence for the client; it never says that a project or a file exists.
    """

    allowed: bool
    why: str


@dataclass(frozen=True, slots=True)
class Access:
    """The content of an access file, or the defaults without one.

    Attributes:
        rules: The rules, in the order of the file.
        private: Whether anonymous readers see nothing.
        uploads: The checks of uploads where no rule changes them.
        from_file: Whether there is a file; without one, every authenticated user may upload.
        everything_public: Whether no name can be hidden from anyone.
        uses_owners: Whether any decision depends on who owns a project.
    """

    rules: tuple[AccessRule, ...] = ()
    private: bool = False
    uploads: UploadRules = field(default_factory=UploadRules)
    from_file: bool = True
    everything_public: bool = field(init=False, repr=False, compare=False)
    uses_owners: bool = field(init=False, repr=False, compare=False)
    _deciding: Mapping[Action, ActionRules] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rules = (*self.rules, self._default_rule())
        deciding = {action: ActionRules(action, rules) for action in Action}
        public = all(who.anyone for who in deciding[Action.READ].lists)
        owners = any(who.owner for rules in deciding.values() for who in rules.lists)
        object.__setattr__(self, "_deciding", deciding)
        object.__setattr__(self, "everything_public", public)
        object.__setattr__(self, "uses_owners", owners)

    def decide(self, identity: Identity, action: Action, name: ProjectName, owner: str | None) -> Decision:
        """Decide whether somebody may do something.

        Args:
            identity: Who makes the request.
            action: What for.
            name: On which project, whether or not there is one.
            owner: The user who published the name first; None if nobody owns it yet.
        """
        if not (action is Action.READ and self.is_public(name)):
            hindrance = access_text.why_not_allowed(identity, action, name)
            if hindrance is not None:
                return Decision(False, hindrance)
        for deciding in dict.fromkeys((action, Action.ADMIN)):
            rule = self._deciding[deciding].rule(name)
            who = rule.who[deciding]
            word = who.word_for(identity)
            if word is None and who.owner and _counts_as_owner(identity, deciding, owner):
                word = OWNER_WORD
            if word is not None:
                return Decision(
                    True, access_text.granted(rule, word, deciding, name, from_file=self.from_file)
                )
        rule = self._deciding[action].rule(name)
        return Decision(False, access_text.refused(rule, identity, action, name, from_file=self.from_file))

    def is_public(self, name: ProjectName) -> bool:
        """Tell whether anyone at all may read this project."""
        return self.everything_public or self._deciding[Action.READ].rule(name).who[Action.READ].anyone

    def readable(
        self, identity: Identity, names: Sequence[ProjectName], owners: Mapping[ProjectName, str]
    ) -> tuple[ProjectName, ...]:
        """Return those of the names that somebody may read, in their order; the same tuple if it is all of them."""
        if self.everything_public:
            return tuple(names)
        may_read = self._reader(identity)
        seen = tuple([name for name in names if may_read(name, owners.get(name))])
        return tuple(names) if len(seen) == len(names) else seen

    def reader_class(self, identity: Identity) -> Hashable:
        """Return what decides which names an identity reads: those with equal classes read the same ones.

        All who can read only what is public have the class of :data:`ANYONE`.
        """
        if self.everything_public or not _can_read_more(identity):
            return ANYONE_WORD
        lists = [who for action in (Action.READ, Action.ADMIN) for who in self._deciding[action].lists]
        listed = tuple([who.word_for(identity) is not None for who in lists])
        owner = identity.user if any(who.owner for who in lists) else None
        if owner is None and listed == tuple([who.anyone for who in lists]):
            return ANYONE_WORD
        scope = (ALL,) if identity.token is None else identity.token.projects
        return (listed, frozenset((ALL,) if ALL in scope else scope), owner)

    def grants(self, identity: Identity, action: Action) -> tuple[Grant, ...]:
        """Return what the rules about an action give an identity; for a project the first decides that has its name."""
        deciding = self._deciding[action]
        return tuple(
            Grant(rule.projects, who.word_for(identity) is not None, who.owner and identity.user is not None)
            for rule, who in zip(deciding.rules, deciding.lists, strict=True)
        )

    def possible_actions(self, identity: Identity) -> tuple[Action, ...]:
        """Return the actions that an identity may perform on some project."""
        granted = {
            action
            for action in Action
            for grant in self.grants(identity, action)
            if grant.allowed or grant.as_owner
        }
        return tuple(action for action in Action if action in granted or Action.ADMIN in granted)

    def may_everywhere(self, identity: Identity, action: Action) -> bool:
        """Tell whether an identity may do something with every project, of any owner, also those that do not exist yet."""
        token = identity.token
        if not identity.authenticated or (
            token is not None and not (token.allow(action) and ALL in token.projects)
        ):
            return False
        return any(
            all(grant.allowed for grant in self.grants(identity, each)) for each in (action, Action.ADMIN)
        )

    def upload_rules(self, name: ProjectName) -> UploadRules:
        """Return the checks of uploads to a project: for each of them, the first rule decides that names it."""
        found: dict[str, int] = {}
        for rule in self.rules:
            if rule.uploads and matcher(rule.projects).find(name) is not None:
                found = {**rule.uploads, **found}
        # The parser has seen to it that each value is of its attribute's type.
        return replace(self.uploads, **found) if found else self.uploads  # type: ignore[arg-type]

    def explain(self, name: ProjectName, owner: str | None) -> tuple[str, ...]:
        """Return lines that say who may do what with a project, by which rule, and how its uploads are checked."""
        rules = {action: deciding.rule(name) for action, deciding in self._deciding.items()}
        admins = rules[Action.ADMIN].who[Action.ADMIN]
        lines = [
            access_text.line(rule, action, name, owner, from_file=self.from_file)
            for action, rule in rules.items()
        ]
        if admins.words:
            lines.append("Who may admin a project may do all of this.")
        return (*lines, access_text.uploads_line(self.upload_rules(name)))

    def _reader(self, identity: Identity) -> Callable[[ProjectName, str | None], bool]:
        """Return :meth:`decide` for reading by one identity, with all that does not depend on the name done once."""
        reads, admins = self._deciding[Action.READ], self._deciding[Action.ADMIN]
        public = [who.anyone for who in reads.lists]
        if not _can_read_more(identity):
            return lambda name, _: public[reads.position(name)]
        user, token = identity.user, identity.token
        covered = None if token is None or ALL in token.projects else matcher(token.projects)
        by_read, by_admin = (
            [(who.word_for(identity) is not None, who.owner and user is not None) for who in deciding.lists]
            for deciding in (reads, admins)
        )
        administers = any(listed or owning for listed, owning in by_admin)

        def may_read(name: ProjectName, owner: str | None) -> bool:
            position = reads.position(name)
            if public[position]:
                return True
            if covered is not None and covered.find(name) is None:
                return False
            listed, owning = by_read[position]
            if listed or (owning and owner == user):
                return True
            if not administers:
                return False
            listed, owning = by_admin[admins.position(name)]
            return listed or (owning and owner == user)

        return may_read

    def _default_rule(self) -> AccessRule:
        """Return what holds where no rule decides."""
        who = dict.fromkeys(Action, Principals())
        who[Action.READ] = Principals((AUTHENTICATED_WORD if self.private else ANYONE_WORD,))
        if not self.from_file:
            who[Action.UPLOAD] = Principals((AUTHENTICATED_WORD,))
        return AccessRule(0, (ALL,), who)


def default_access() -> Access:
    """Return what holds without an access file: anyone reads, everyone who is authenticated uploads."""
    return Access(from_file=False)


def _can_read_more(identity: Identity) -> bool:
    """Tell whether an identity could read more than what is public."""
    return identity.authenticated and (identity.token is None or identity.token.allow(Action.READ))


def _counts_as_owner(identity: Identity, action: Action, owner: str | None) -> bool:
    """Tell whether ``owner`` means this identity; a name that nobody owns yet belongs to the user who uploads first."""
    if identity.user is None:
        return False
    return owner == identity.user or (owner is None and action is Action.UPLOAD)
