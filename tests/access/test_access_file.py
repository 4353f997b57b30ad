"""The access file: wholly understood or wholly refused, in one sentence that helps."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simpleindex.access.access_file import MAXIMUM_SIZE, InvalidAccess, parse_access
from simpleindex.access.identity import ANYONE, Action, Identity, UploadRules
from simpleindex.access.logins.htpasswd import InvalidUserName, parse_user_name
from simpleindex.access.rights import Access
from simpleindex.access.rules import WHO_WORDS, AccessRule, Principals
from simpleindex.core.names import parse_project_name
from tests.fixtures.tables import for_each

SHIPPED = files("simpleindex").joinpath("deploy/access.toml").read_text("utf-8")
SECRET = "sidx-" + "x" * 43


def refusal(content: bytes) -> str:
    """Parse what must be refused; return the sentence."""
    with pytest.raises(InvalidAccess) as caught:
        parse_access(content)
    return str(caught.value)


def uncommented() -> str:
    """The shipped example with its examples in force: their lines have no space after the sign."""
    lines = SHIPPED.splitlines()
    return "\n".join(line[1:] if line.startswith("#") and line[1:2].strip() else line for line in lines)


def test_everything_that_can_be_said() -> None:
    """Each key in its place."""
    parsed = parse_access(
        b"""
        private = true
        [groups]
        staff = ["alice", "bob", "alice"]
        [uploads]
        local-versions = false
        max-file-size = "5m"
        max-project-size = 1000
        require-record = false
        require-matching-tags = true
        normalized-names = false
        [[rule]]
        projects = ["Acme_*", "tool"]
        read = ["group:staff", "token:ab12cd34", "authenticated"]
        upload = ["owner", "jane doe"]
        yank = []
        delete = ["alice@example.com"]
        admin = ["J\xc3\xbcrgen"]
        overwrite = true
        max-file-size = 0
        require-matching-tags = false
        """
    )
    staff = {"group:staff": ("alice", "bob")}
    rule = AccessRule(
        1,
        ("acme-*", "tool"),
        {
            Action.READ: Principals(("group:staff", "token:ab12cd34", "authenticated"), staff),
            Action.UPLOAD: Principals(("owner", "jane doe")),
            Action.YANK: Principals(),
            Action.DELETE: Principals(("alice@example.com",)),
            Action.ADMIN: Principals(("J\u00fcrgen",)),
        },
        {"overwrite": True, "max_file_size": 0, "require_matching_tags": False},
    )
    uploads = UploadRules(
        local_versions=False,
        max_file_size=5 << 20,
        max_project_size=1000,
        require_record=False,
        require_matching_tags=True,
        normalized_names=False,
    )
    assert parsed == Access((rule,), private=True, uploads=uploads)


def test_a_file_that_says_nothing_is_still_a_file() -> None:
    """Comments alone: anyone reads, nobody uploads."""
    parsed = parse_access(b"# to be decided\n")
    name = parse_project_name("acme")
    assert parsed == Access()
    assert parsed.decide(ANYONE, Action.READ, name, None).allowed
    assert not parsed.decide(Identity("alice"), Action.UPLOAD, name, None).allowed


RULE = b'[[rule]]\nprojects = ["acme"]\n'


@for_each(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b" \r\n\t", "is empty"),
        (b"#" * (MAXIMUM_SIZE + 1), "has more than 1 MiB"),
        (b"private = '\xff'", "is not UTF-8"),
        (b"private =", "is not valid TOML"),
        (b"private = 1" + b"0" * 5000, "is not valid TOML"),
        (b"private = " + b"[" * 60_000, "nested too deeply"),
        (b"privat = true", "has the unknown key 'privat'; did you mean 'private'?"),
        (b"[[rules]]", "has the unknown key 'rules'; did you mean 'rule'?"),
        (b"zzz = 1", "has the unknown key 'zzz' (known: private, groups, uploads, rule)"),
        (b'"a\\nb" = 1', r"has the unknown key 'a\nb'"),
        (b"private = 'yes'", "has a value of 'private' that is neither true nor false"),
        (b"private = 1", "neither true nor false"),
        (b"read = ['alice']", "has 'read' at its top; it belongs in a [[rule]]"),
        (b"overwrite = true", "has 'overwrite' at its top; it belongs in a [[rule]]"),
        (b"max-file-size = 1", "has 'max-file-size' at its top; it belongs in [uploads] or a [[rule]]"),
        # Groups
        (b"groups = ['alice']", "has a 'groups' that is not a table; write [groups]"),
        (
            b"[groups]\nstaff = 'alice'",
            "has a text instead of a list for the group 'staff'; write [\"alice\"]",
        ),
        (b"[groups]\nstaff = 'a, b'", "has a text instead of a list for the group 'staff'"),
        (b"[groups]\nstaff = [1]", "has what is not a list of texts for the group 'staff'"),
        (b"[groups]\nstaff = {}", "has what is not a list of texts for the group 'staff'"),
        (b"[groups]\n'a b' = []", "has the group 'a b'; a group's name has letters"),
        (b"[groups]\na = ['group:b']", "lists 'group:b' in the group 'a', which can hold users only"),
        (b"[groups]\na = ['token:b']", "lists 'token:b' in the group 'a', which can hold users only"),
        (b"[groups]\na = ['anyone']", "lists 'anyone' in the group 'a', which can hold users only"),
        (b"[groups]\na = ['b:c']", "lists 'b:c' in the group 'a': The user name has a colon"),
        (b"[groups]\nprivate = true", "has 'private' in [groups]; it belongs above the first [table]"),
        # Uploads
        (b"uploads = 1", "has an 'uploads' that is not a table; write [uploads]"),
        (b"[uploads]\nmax-size = 1", "unknown key 'max-size' in [uploads]; did you mean 'max-file-size'?"),
        (b"[uploads]\noverwrite = true", "has 'overwrite' in [uploads]; it belongs in a [[rule]]"),
        (b"[uploads]\nprivate = true", "has 'private' in [uploads]; it belongs above the first [table]"),
        (b"[uploads]\nlocal-versions = 'no'", "'local-versions' in [uploads] that is neither true nor false"),
        (b"[uploads]\nmax-file-size = '2GB'", "'max-file-size' in [uploads] that is no number of bytes"),
        (b"[uploads]\nmax-file-size = -1", "no number of bytes"),
        (b"[uploads]\nmax-file-size = true", "no number of bytes"),
        (b"[uploads]\nmax-file-size = 1.5", "no number of bytes"),
        (b"[uploads]\nmax-file-size = 0x" + b"f" * 9000, "no number of bytes"),
        (b"[uploads]\nmax-file-size = '999999999999999G'", "no number of bytes"),
        # Rules
        (b"[rule]\nprojects = ['*']", "has a 'rule' that is not a list of tables; write [[rule]]"),
        (b"rule = ['*']", "has a 'rule' that is not a list of tables"),
        (b"[[rule]]\nread = ['alice']", "has no 'projects' in rule 1; write projects = [\"*\"] for all"),
        (RULE, "has a rule 1 that only names projects; say who may read, upload, yank, delete, audit, admin"),
        (RULE + b"reed = []", "has the unknown key 'reed' in rule 1; did you mean 'read'?"),
        (RULE + b"project = []", "has the unknown key 'project' in rule 1; did you mean 'projects'?"),
        (RULE + b"read = []\n[[rule]]\nprivate = true", "has 'private' in rule 2; it belongs above"),
        (
            b"[[rule]]\nprojects = 'acme-*'\nread = []",
            "has a text instead of a list for 'projects' of rule 1",
        ),
        (b"[[rule]]\nprojects = []\nread = []", "has a rule 1 for no project"),
        (b"[[rule]]\nprojects = [1]\nread = []", "what is not a list of texts for 'projects' of rule 1"),
        (b"[[rule]]\nprojects = ['a b']\nread = []", "has in rule 1 the project 'a b', which is no name"),
        (b"[[rule]]\nprojects = ['acme-']\nread = []", "the project 'acme-', which matches no project"),
        (RULE + b"read = 'alice'", "has a text instead of a list for 'read' of rule 1; write [\"alice\"]"),
        (RULE + b"read = 'group:a'", 'write ["group:a"]'),
        (RULE + b"read = true", "has what is not a list of texts for 'read' of rule 1"),
        (RULE + b"read = ['alice', 1]", "has what is not a list of texts for 'read' of rule 1"),
        (RULE + b"overwrite = 1", "has a value of 'overwrite' in rule 1 that is neither true nor false"),
        (RULE + b"max-file-size = 'x'", "has a value of 'max-file-size' in rule 1 that is no number"),
        # Who
        (
            RULE + b"read = ['group:staff']",
            "lists 'group:staff' in 'read' of rule 1, but [groups] has no 'staff'",
        ),
        (
            b"groups.staff = []\n" + RULE + b"read = ['group:staf']",
            "but [groups] has no 'staf'; did you mean 'staff'?",
        ),
        (b"groups.staff = []\n" + RULE + b"read = ['staff']", "which is a group; write 'group:staff'"),
        (RULE + b"read = ['grup:a']", "lists 'grup:a' in 'read' of rule 1; did you mean 'group:'?"),
        (RULE + b"read = ['x:a']", "lists 'x:a' in 'read' of rule 1 (known: group:, token:)"),
        (RULE + b"read = [':a']", "lists ':a' in 'read' of rule 1 (known: group:, token:)"),
        (RULE + b"read = ['token:']", "after 'token:' comes the public id of a token"),
        (RULE + b"read = ['token:a b']", "after 'token:' comes the public id of a token"),
        (RULE + b"read = ['Anyone']", "lists 'Anyone' in 'read' of rule 1; did you mean 'anyone'?"),
        (RULE + b"yank = ['Owner']", "did you mean 'owner'?"),
        (RULE + b"read = ['*']", "lists '*' in 'read' of rule 1; did you mean 'authenticated'?"),
        (RULE + b"read = ['']", "lists '' in 'read' of rule 1: The user name is empty"),
        (RULE + b"read = [' a']", "lists ' a' in 'read' of rule 1: The user name has characters"),
        (RULE + b'read = ["a\\u0007b"]', r"lists 'a\x07b' in 'read' of rule 1: The user name has characters"),
        *(
            (
                RULE + action + b" = ['anyone']",
                f"lists 'anyone' in {action.decode()!r} of rule 1, but only reading",
            )
            for action in (b"upload", b"yank", b"delete", b"admin")
        ),
        (
            b"private = true\n" + RULE + b"read = []\n" + RULE + b"read = ['alice', 'anyone']",
            "contradicts itself: private = true lets nobody read without a login, but rule 2 lets anyone read",
        ),
    ],
)
def test_what_is_not_understood_is_refused(content: bytes, sentence: str) -> None:
    """One short sentence, on one line, whatever the file holds."""
    message = refusal(content)
    assert message.startswith("it ")
    assert sentence in message
    assert "\n" not in message
    assert len(message) < 300


@pytest.mark.parametrize(
    "content",
    [
        b"%s = 1",
        b"[groups]\n%s = 1",
        b"[groups]\na = ['%s:']",
        b"[[rule]]\nprojects = ['-%s']\nread = []",
        b"[[rule]]\nprojects = ['a']\nread = ['%s:']",
        b"[[rule]]\nprojects = ['a']\nread = ['group:%s']",
        b"[[rule]]\nprojects = ['a']\nread = '%s'",
    ],
)
def test_a_long_text_is_cut_in_the_sentence(content: bytes) -> None:
    """The sentence goes to a log; 60 KiB do not."""
    assert len(refusal(content % (b"x" * 60_000))) < 500


@pytest.mark.parametrize(
    "content",
    [
        "[[rule]]\nprojects = ['a']\nread = ['%s']",
        "[[rule]]\nprojects = ['a']\nread = ['token:%s']",
        "[[rule]]\nprojects = ['a']\nread = ['group:%s']",
        "[[rule]]\nprojects = ['a']\nread = '%s'",
        "[groups]\nstaff = ['%s']",
    ],
)
def test_a_token_instead_of_its_id_is_not_repeated(content: str) -> None:
    """The sentence goes to a log, and a token is a password."""
    message = refusal((content % SECRET).encode())
    assert "holds a token itself" in message
    assert SECRET[:12] not in message


def test_a_user_may_be_called_like_a_group_s_member_or_a_token() -> None:
    """Only what is as long as a token is taken for one."""
    parsed = parse_access(RULE + b"read = ['sidx-bot']")
    assert parsed.decide(Identity("sidx-bot"), Action.READ, parse_project_name("acme"), None).allowed


def test_users_are_named_in_the_form_of_the_users_file() -> None:
    """Two ways to write one letter are one user there (NFC), so here too."""
    content = 'groups.staff = ["Jose\u0301"]\n[[rule]]\nprojects = ["*"]\nread = ["Zoe\u0308", "group:staff"]'
    parsed = parse_access(content.encode())
    for user in ("Jos\u00e9", "Zo\u00eb"):
        assert parsed.decide(Identity(user), Action.READ, parse_project_name("acme"), None).allowed


@pytest.mark.parametrize("word", WHO_WORDS)
def test_no_user_can_be_called_like_a_word_for_others(word: str) -> None:
    """Else a rule that means everyone could not be told from one that means that user."""
    with pytest.raises(InvalidUserName):
        parse_user_name(word)


class TestExample:
    def test_as_shipped_it_has_no_rules(self) -> None:
        """What its first lines say."""
        assert parse_access(SHIPPED.encode()) == Access()

    def test_uncommented_it_has_everything(self) -> None:
        """Every key is shown, and in a way that is accepted."""
        parsed = parse_access(uncommented().encode())
        assert set(tomllib.loads(uncommented())) == {"private", "groups", "uploads", "rule"}
        assert parsed.uploads == UploadRules(require_matching_tags=UploadRules().tags_must_match)
        assert {action for rule in parsed.rules for action in rule.who} == set(Action)
        words = {
            word.partition(":")[0] for rule in parsed.rules for who in rule.who.values() for word in who.words
        }
        assert words == {"alice", "group", "token", "authenticated", "anyone", "owner"}

    def test_its_defaults_of_uploads_are_the_defaults(self) -> None:
        """Each is shown with the value it has without."""
        shown = tomllib.loads(uncommented())["uploads"]
        assert {key.replace("-", "_") for key in shown} == set(UploadRules.__slots__) - {"overwrite"}

    def test_what_the_rules_of_the_example_mean(self) -> None:
        """Read top to bottom, as their comments teach."""
        parsed = parse_access(uncommented().encode())
        acme, nightly, other = (parse_project_name(text) for text in ("acme-core", "tool-nightly", "tool"))
        assert not parsed.is_public(acme)
        assert parsed.is_public(other)
        assert parsed.decide(Identity("carol"), Action.UPLOAD, acme, "bob").allowed
        assert parsed.decide(Identity("bob"), Action.YANK, acme, "bob").allowed
        assert not parsed.decide(Identity("carol"), Action.DELETE, acme, "bob").allowed
        assert parsed.decide(Identity("alice"), Action.DELETE, acme, "bob").allowed
        assert parsed.upload_rules(nightly).overwrite
        assert not parsed.upload_rules(other).overwrite
        assert parsed.upload_rules(acme).max_file_size == 5 << 30


# No clock decides: the machine may be busy with something else.
PROPERTY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

KEYS = st.sampled_from(
    ["private", "groups", "uploads", "rule", "projects", "read", "admin", "overwrite", "max-file-size", "x"]
)
WORDS = st.sampled_from(
    ["alice", "group:x", "group:a", "token:b", "anyone", "owner", "*", "acme-*", "", "1K"]
)
VALUES = st.recursive(
    st.booleans() | st.integers(-1, 10) | WORDS | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


def toml(value: object) -> str:
    """Write a value as TOML, inline; nothing is a date."""
    match value:
        case bool():
            return str(value).lower()
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case dict():
            return "{" + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + "}"
        case None:
            return "2026-01-01"
        case _:
            return repr(value)


def sentence_if_refused(content: bytes) -> str | None:
    """Parse what may be right or wrong; any other error than InvalidAccess fails the test."""
    try:
        parse_access(content)
    except InvalidAccess as error:
        return str(error)
    return None


@PROPERTY
@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_values_anywhere_are_read_or_refused(table: dict[str, object]) -> None:
    """Never anything but InvalidAccess, in one line."""
    content = "".join(f"{key} = {toml(value)}\n" for key, value in table.items())
    assert "\n" not in (sentence_if_refused(content.encode()) or "")


@PROPERTY
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    """Never anything but InvalidAccess."""
    assert sentence_if_refused(content) != ""
