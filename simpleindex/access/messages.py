"""Sentences about access rules.

None says that a project or a file exists; a refusal names neither the allowed users nor other projects of a rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simpleindex.access.rules import (
    ANYONE_WORD,
    AUTHENTICATED_WORD,
    GROUP_PREFIX,
    OWNER_WORD,
)
from simpleindex.core.patterns import ALL, matching
from simpleindex.core.text import exact_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simpleindex.access.identity import Action, Identity, UploadRules
    from simpleindex.access.rules import AccessRule, Grant
    from simpleindex.core.names import ProjectName

_DOING: Final = {
    "read": "read",
    "upload": "upload to",
    "yank": "yank files of",
    "delete": "delete files of",
    "audit": "see who downloads",
    "admin": "administer",
}
_WHO: Final = {
    ANYONE_WORD: "anyone",
    AUTHENTICATED_WORD: "everyone who logs in",
    OWNER_WORD: "the owner",
}


def why_not_allowed(identity: Identity, action: Action, name: ProjectName) -> str | None:
    """Return why an identity cannot do something that is not public, whatever the rules say; None if it might."""
    if not identity.authenticated:
        return f"A login is needed to {_DOING[action.value]} {name}."
    token = identity.token
    if token is not None and not token.allow(action):
        limits = ", ".join(sorted(allowed.value for allowed in token.actions)) or "nothing"
        return f"The token {token.id} is limited to {limits}, and cannot be used to {_DOING[action.value]} {name}."
    if token is not None and not token.cover(name):
        return f"The token {token.id} is limited to other projects than {name}."
    return None


def granted(rule: AccessRule, word: str, action: Action, name: ProjectName, *, from_file: bool) -> str:
    """Say which rule allows something, perhaps to an administrator.

    Args:
        rule: The one that decided.
        word: The word in it that stands for the identity.
        action: The action for which the rule lists the word.
        name: The project.
        from_file: Whether there is an access file.
    """
    doing, who = _DOING[action.value], _WHO.get(word, word)
    if rule.number:
        pattern = matching(rule.projects, name)
        return f"Rule {rule.number} of the access file lets {who} {doing} {pattern}."
    if not from_file:
        return f"Without an access file, {who} may {doing} {name}."
    return f"No rule of the access file decides who may {doing} {name}, so {who} may."


def refused(
    rule: AccessRule, identity: Identity, action: Action, name: ProjectName, *, from_file: bool
) -> str:
    """Say which rule refuses something."""
    doing = f"{_DOING[action.value]} {name}"
    if not from_file:
        return f"Without an access file, nobody may {doing}."
    if not rule.number:
        return f"No rule of the access file lets {identity} {doing}."
    if not rule.who[action].words:
        return f"Rule {rule.number} of the access file lets nobody {doing}."
    return f"Rule {rule.number} of the access file does not let {identity} {doing}."


def granted_projects(grants: Sequence[Grant], action: Action, *, names_others: bool) -> str:
    """Name the projects on which somebody may perform an action, for that person.

    Args:
        grants: What the rules about the action give, in their order.
        action: The action.
        names_others: Whether those are named on which the person may not: only where the person may read all projects, for a
            rule about a private one has its name.
    """
    if not any(grant.allowed or grant.as_owner for grant in grants):
        return "no project"
    if all(grant.allowed for grant in grants):
        return "every project"
    owned = "those that you published first"
    if action.value == "upload":
        owned += ", and new names"
    parts: list[str] = []
    but_some = ""
    for grant in grants:
        rest = ("all others" if parts else "every project") + but_some
        names = rest if ALL in grant.projects else ", ".join(grant.projects)
        if grant.allowed:
            parts.append(names)
        elif grant.as_owner:
            parts.append(owned if names == "every project" else f"of {names}: {owned}")
        elif names_others or names == rest:
            parts.append(f"not {names}")
        else:
            but_some = " but some"
    if parts[-1] == f"not all others{but_some}":
        parts.pop()
    return "; ".join(parts)


def line(rule: AccessRule, action: Action, name: ProjectName, owner: str | None, *, from_file: bool) -> str:
    """Return a line for the operator: who may do something with a project, and by which rule.

    Args:
        rule: The one that decides about it.
        action: The action.
        name: The project.
        owner: Its owner, if it has one.
        from_file: Whether there is an access file.
    """
    who = rule.who[action]
    words = []
    for word in who.words:
        if word == OWNER_WORD:
            unowned = (
                "nobody yet: of a new name, the first who uploads"
                if action.value == "upload"
                else "nobody yet"
            )
            words.append(f"{word} ({unowned if owner is None else owner})")
        elif word.startswith(GROUP_PREFIX):
            words.append(f"{word} ({', '.join(who.groups[word]) or 'nobody'})")
        else:
            words.append(word)
    if rule.number:
        origin = f"rule {rule.number}, {matching(rule.projects, name)}"
    else:
        origin = "no rule decides" if from_file else "there is no access file"
    return f"{action.value}: {', '.join(words) or 'nobody'} ({origin})"


def uploads_line(rules: UploadRules) -> str:
    """Return a line for the operator: how uploads are checked, in the words of the file."""
    flags = {
        "local-versions": rules.local_versions,
        "require-record": rules.require_record,
        "require-matching-tags": rules.tags_must_match,
        "normalized-names": rules.normalized_names,
        "overwrite": rules.overwrite,
    }
    sizes = {"max-file-size": rules.max_file_size, "max-project-size": rules.max_project_size}
    words = [f"{key} = {str(value).lower()}" for key, value in flags.items()]
    words += [f"{key} = {exact_size(value)}" for key, value in sizes.items()]
    return f"uploads: {', '.join(words)}"
