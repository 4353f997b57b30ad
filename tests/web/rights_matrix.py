"""Who may do what, by hand: every kind of identity, action and project under four access files.

The answers are written as tables from the documented rules, never computed. ``+`` is yes and ``-`` no; columns are the
identities in the order of :data:`IDENTITIES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simpleindex.access.identity import ANYONE, Action, Identity, TokenLimits
from simpleindex.core.names import parse_project_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.core.names import ProjectName

USERS: Final = ("alice", "bob", "carol", "dave")
EVERYTHING: Final = frozenset(Action)

IDENTITIES: Final = {
    "anonymous": ANYONE,
    "alice": Identity("alice"),
    "bob": Identity("bob"),
    "carol": Identity("carol"),
    "dave": Identity("dave"),
    # A token that can do all its user can.
    "alice-all": Identity("alice", TokenLimits("a1a1a1a1", EVERYTHING, ("*",))),
    # One for CI: uploads some projects, and does nothing else.
    "carol-upload": Identity("carol", TokenLimits("c3c3c3c3", frozenset({Action.UPLOAD}), ("acme-*",))),
    "dave-read": Identity("dave", TokenLimits("d4d4d4d4", frozenset({Action.READ}), ("*",))),
    # A rule lets this one do what its user may not.
    "bob-listed": Identity(
        "bob", TokenLimits("b2b2b2b2", frozenset({Action.READ, Action.UPLOAD}), ("Acme_*", "tool"))
    ),
    # Tokens without a user: one that rules list, and one that they do not.
    "robot-listed": Identity(None, TokenLimits("e5e5e5e5", frozenset({Action.READ, Action.UPLOAD}), ("*",))),
    "robot": Identity(None, TokenLimits("f6f6f6f6", EVERYTHING, ("*",))),
}

OWNERS: Final = {
    parse_project_name("acme-app"): "carol",
    parse_project_name("acme-new"): None,
    parse_project_name("vault"): "dave",
    parse_project_name("tool"): "dave",
    parse_project_name("fresh"): None,
}
"""The projects, with who owns them; ``acme-new`` and ``fresh`` may as well not exist."""

RULES: Final = b"""
[groups]
staff = ["alice", "bob"]
release = ["carol"]

[[rule]]
projects = ["Acme_*"]
read = ["group:staff", "group:release", "token:e5e5e5e5"]
upload = ["group:release", "token:b2b2b2b2", "token:e5e5e5e5"]
yank = ["owner"]
delete = []
admin = ["alice"]

[[rule]]
projects = ["vault"]
read = ["owner"]
admin = []

[[rule]]
projects = ["*"]
read = ["anyone"]
upload = ["owner"]
yank = ["authenticated"]
admin = ["owner"]
"""

PRIVATE: Final = b"""
private = true

[[rule]]
projects = ["acme-*"]
read = ["alice"]

[[rule]]
projects = ["*"]
upload = ["authenticated"]
"""

NO_RULES: Final = b"# nothing decided yet\n"

# Columns:         anonymous
#                  | alice
#                  | | bob
#                  | | | carol
#                  | | | | dave
#                  | | | | |  alice-all
#                  | | | | |  | carol-upload
#                  | | | | |  | | dave-read
#                  | | | | |  | | | bob-listed
#                  | | | | |  | | | |  robot-listed
#                  | | | | |  | | | |  | robot
_BY_RULES: Final = """
acme-app read      - + + + -  + - - +  + -
acme-app upload    - + - + -  + + - +  + -
acme-app yank      - + - + -  + - - -  - -
acme-app delete    - + - - -  + - - -  - -
acme-app admin     - + - - -  + - - -  - -

acme-new read      - + + + -  + - - +  + -
acme-new upload    - + - + -  + + - +  + -
acme-new yank      - + - - -  + - - -  - -
acme-new delete    - + - - -  + - - -  - -
acme-new admin     - + - - -  + - - -  - -

vault    read      - - - - +  - - + -  - -
vault    upload    - - - - +  - - - -  - -
vault    yank      - + + + +  + - - -  - +
vault    delete    - - - - -  - - - -  - -
vault    admin     - - - - -  - - - -  - -

tool     read      + + + + +  + + + +  + +
tool     upload    - - - - +  - - - -  - -
tool     yank      - + + + +  + - - -  - +
tool     delete    - - - - +  - - - -  - -
tool     admin     - - - - +  - - - -  - -

fresh    read      + + + + +  + + + +  + +
fresh    upload    - + + + +  + - - -  - -
fresh    yank      - + + + +  + - - -  - +
fresh    delete    - - - - -  - - - -  - -
fresh    admin     - - - - -  - - - -  - -
"""

_BY_PRIVATE: Final = """
acme-app read      - + - - -  + - - -  - -
acme-app upload    - + + + +  + + - +  + +
acme-app yank      - - - - -  - - - -  - -
acme-app delete    - - - - -  - - - -  - -
acme-app admin     - - - - -  - - - -  - -

acme-new read      - + - - -  + - - -  - -
acme-new upload    - + + + +  + + - +  + +
acme-new yank      - - - - -  - - - -  - -
acme-new delete    - - - - -  - - - -  - -
acme-new admin     - - - - -  - - - -  - -

vault    read      - + + + +  + - + -  + +
vault    upload    - + + + +  + - - -  + +
vault    yank      - - - - -  - - - -  - -
vault    delete    - - - - -  - - - -  - -
vault    admin     - - - - -  - - - -  - -

tool     read      - + + + +  + - + +  + +
tool     upload    - + + + +  + - - +  + +
tool     yank      - - - - -  - - - -  - -
tool     delete    - - - - -  - - - -  - -
tool     admin     - - - - -  - - - -  - -

fresh    read      - + + + +  + - + -  + +
fresh    upload    - + + + +  + - - -  + +
fresh    yank      - - - - -  - - - -  - -
fresh    delete    - - - - -  - - - -  - -
fresh    admin     - - - - -  - - - -  - -
"""

_BY_NO_RULES: Final = """
acme-app read      + + + + +  + + + +  + +
acme-app upload    - - - - -  - - - -  - -
acme-app yank      - - - - -  - - - -  - -
acme-app delete    - - - - -  - - - -  - -
acme-app admin     - - - - -  - - - -  - -

acme-new read      + + + + +  + + + +  + +
acme-new upload    - - - - -  - - - -  - -
acme-new yank      - - - - -  - - - -  - -
acme-new delete    - - - - -  - - - -  - -
acme-new admin     - - - - -  - - - -  - -

vault    read      + + + + +  + + + +  + +
vault    upload    - - - - -  - - - -  - -
vault    yank      - - - - -  - - - -  - -
vault    delete    - - - - -  - - - -  - -
vault    admin     - - - - -  - - - -  - -

tool     read      + + + + +  + + + +  + +
tool     upload    - - - - -  - - - -  - -
tool     yank      - - - - -  - - - -  - -
tool     delete    - - - - -  - - - -  - -
tool     admin     - - - - -  - - - -  - -

fresh    read      + + + + +  + + + +  + +
fresh    upload    - - - - -  - - - -  - -
fresh    yank      - - - - -  - - - -  - -
fresh    delete    - - - - -  - - - -  - -
fresh    admin     - - - - -  - - - -  - -
"""

_BY_DEFAULT: Final = """
acme-app read      + + + + +  + + + +  + +
acme-app upload    - + + + +  + + - +  + +
acme-app yank      - - - - -  - - - -  - -
acme-app delete    - - - - -  - - - -  - -
acme-app admin     - - - - -  - - - -  - -

acme-new read      + + + + +  + + + +  + +
acme-new upload    - + + + +  + + - +  + +
acme-new yank      - - - - -  - - - -  - -
acme-new delete    - - - - -  - - - -  - -
acme-new admin     - - - - -  - - - -  - -

vault    read      + + + + +  + + + +  + +
vault    upload    - + + + +  + - - -  + +
vault    yank      - - - - -  - - - -  - -
vault    delete    - - - - -  - - - -  - -
vault    admin     - - - - -  - - - -  - -

tool     read      + + + + +  + + + +  + +
tool     upload    - + + + +  + - - +  + +
tool     yank      - - - - -  - - - -  - -
tool     delete    - - - - -  - - - -  - -
tool     admin     - - - - -  - - - -  - -

fresh    read      + + + + +  + + + +  + +
fresh    upload    - + + + +  + - - -  + +
fresh    yank      - - - - -  - - - -  - -
fresh    delete    - - - - -  - - - -  - -
fresh    admin     - - - - -  - - - -  - -
"""

FILES: Final = {"rules": RULES, "private": PRIVATE, "no-rules": NO_RULES, "no-file": None}
"""The access files by name; None for having none."""

_TABLES: Final = {
    "rules": _BY_RULES,
    "private": _BY_PRIVATE,
    "no-rules": _BY_NO_RULES,
    "no-file": _BY_DEFAULT,
}


@dataclass(frozen=True, slots=True)
class Case:
    """One cell of the tables.

    Attributes:
        file: The access file, by its name in :data:`FILES`.
        label: The identity, by its name in :data:`IDENTITIES`.
        identity: The identity itself.
        action: What it wants to do.
        project: On which project.
        owner: Who owns that.
        allowed: Whether it may.
    """

    file: str
    label: str
    identity: Identity
    action: Action
    project: ProjectName
    owner: str | None
    allowed: bool


def cases(file: str) -> Iterator[Case]:
    """Yield every cell of the table for one access file."""
    for row in _TABLES[file].strip().splitlines():
        if not row:
            continue
        name, action, *cells = row.split()
        project = parse_project_name(name)
        for (label, identity), cell in zip(IDENTITIES.items(), cells, strict=True):
            assert cell in "+-"
            yield Case(file, label, identity, Action(action), project, OWNERS[project], cell == "+")
