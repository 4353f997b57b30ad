"""Who may do what: the tables written by hand, the sentences, and what must hold for any rules."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simpleindex.access.access_file import parse_access
from simpleindex.access.identity import ANYONE, Action, Identity, TokenLimits, UploadRules
from simpleindex.access.messages import granted_projects
from simpleindex.access.rights import Access, default_access
from simpleindex.access.rules import AccessRule, Principals
from simpleindex.core.names import ProjectName, parse_project_name
from simpleindex.core.patterns import matcher
from simpleindex.publishing.errors import RefusedUpload
from simpleindex.publishing.upload import checks as upload
from tests.fixtures.rights_matrix import FILES, IDENTITIES, OWNERS, RULES, Case, cases

if TYPE_CHECKING:
    from collections.abc import Mapping

UPLOADS_LINE = (
    "uploads: local-versions = true, require-record = true, require-matching-tags = true, normalized-names = true, overwrite = false,"
    " max-file-size = 2G, max-project-size = 0"
)
TOKEN = TokenLimits("t1", frozenset(Action), ("*",))


def access(file: str) -> Access:
    """The access of the matrix by its name."""
    content = FILES[file]
    return default_access() if content is None else parse_access(content)


def named(text: str) -> ProjectName:
    """A name, shortly."""
    return parse_project_name(text)


def why(file: str, label: str, action: Action, project: str) -> str:
    """The sentence for somebody."""
    name = named(project)
    return access(file).decide(IDENTITIES[label], action, name, OWNERS.get(name)).why


class TestMatrix:
    @pytest.mark.parametrize("file", FILES)
    def test_is_whole(self, file: str) -> None:
        """Every identity, action and project has its answer, once."""
        seen = [(case.label, case.action, case.project) for case in cases(file)]
        assert len(seen) == len(set(seen)) == len(IDENTITIES) * len(Action) * len(OWNERS)

    @pytest.mark.parametrize("file", FILES)
    def test_is_what_is_decided(self, file: str) -> None:
        """The tables and the decisions agree in every cell."""
        rules = access(file)

        def decided(case: Case) -> bool:
            return rules.decide(case.identity, case.action, case.project, case.owner).allowed

        assert [case for case in cases(file) if decided(case) is not case.allowed] == []

    @pytest.mark.parametrize("file", FILES)
    @pytest.mark.parametrize("label", IDENTITIES)
    def test_is_what_is_listed(self, file: str, label: str) -> None:
        """A listing holds exactly what may be read."""
        owners = {name: owner for name, owner in OWNERS.items() if owner is not None}
        expected = [
            case.project
            for case in cases(file)
            if case.label == label and case.action is Action.READ and case.allowed
        ]
        assert list(access(file).readable(IDENTITIES[label], tuple(OWNERS), owners)) == expected

    @pytest.mark.parametrize("file", FILES)
    def test_says_what_is_public(self, file: str) -> None:
        """Public is what the anonymous read."""
        rules = access(file)
        public = {
            case.project: case.allowed
            for case in cases(file)
            if (case.label, case.action) == ("anonymous", Action.READ)
        }
        assert {name: rules.is_public(name) for name in OWNERS} == public
        assert rules.everything_public is (file in {"no-rules", "no-file"})


class TestIdentity:
    @pytest.mark.parametrize(
        ("identity", "text", "authenticated"),
        [
            (ANYONE, "anonymous", False),
            (Identity("alice"), "alice", True),
            (Identity("alice", TOKEN), "alice (token t1)", True),
            (Identity(None, TOKEN), "token t1", True),
        ],
    )
    def test_text(self, identity: Identity, text: str, authenticated: bool) -> None:
        """For the audit: who, by what."""
        assert str(identity) == text
        assert identity.authenticated is authenticated

    def test_a_user_called_like_a_word_is_nobody_special(self) -> None:
        """No one becomes the owner, or a token, by a name."""
        rules = (
            AccessRule(
                1,
                ("*",),
                {Action.YANK: Principals(("owner", "token:t1", "group:g"), {"group:g": ("alice",)})},
            ),
        )
        for user in ("owner", "anyone", "token:t1", "group:g"):
            assert not Access(rules).decide(Identity(user), Action.YANK, named("acme"), "bob").allowed


class TestTokens:
    def test_admin_as_a_limit_is_everything(self) -> None:
        """As in rules, admin implies the rest; what the user may not, the token may not either."""
        token = TokenLimits("t1", frozenset({Action.ADMIN}), ("acme-*",))
        rules = access("rules")
        for action in Action:
            assert rules.decide(Identity("alice", token), action, named("acme-app"), None).allowed
        assert not rules.decide(Identity("bob", token), Action.UPLOAD, named("acme-app"), None).allowed

    def test_patterns_in_any_spelling(self) -> None:
        """A token's patterns are normalized like rules'; what is none matches nothing."""
        token = TokenLimits("t1", frozenset(Action), ("-", "[", "Acme_*"))
        assert token.cover(named("acme-app"))
        assert not token.cover(named("tool"))

    @pytest.mark.parametrize("projects", [(), ("other",)])
    def test_no_limit_hides_what_is_public(self, projects: tuple[str, ...]) -> None:
        """A client that sends its upload token with everything reads what it could read without."""
        token = TokenLimits("t1", frozenset({Action.UPLOAD}), projects)
        assert access("rules").decide(Identity("bob", token), Action.READ, named("tool"), None).allowed


class TestSentences:
    @pytest.mark.parametrize(
        ("file", "label", "action", "project", "sentence"),
        [
            ("rules", "bob", Action.READ, "acme-x", "Rule 1 of the access file lets group:staff read acme-*."),
            ("rules", "alice", Action.DELETE, "acme-x", "Rule 1 of the access file lets alice administer acme-*."),
            ("rules", "anonymous", Action.READ, "tool", "Rule 3 of the access file lets anyone read *."),
            ("rules", "dave", Action.UPLOAD, "x", "Rule 3 of the access file lets the owner upload to *."),
            ("rules", "robot-listed", Action.READ, "acme-x", "Rule 1 of the access file lets token:e5e5e5e5 read acme-*."),
            ("rules", "robot", Action.YANK, "x", "Rule 3 of the access file lets everyone who logs in yank files of *."),
            ("no-file", "bob", Action.UPLOAD, "x", "Without an access file, everyone who logs in may upload to x."),
            ("no-file", "bob", Action.DELETE, "x", "Without an access file, nobody may delete files of x."),
            ("no-rules", "bob", Action.READ, "x", "No rule of the access file decides who may read x, so anyone may."),
            ("no-rules", "bob", Action.UPLOAD, "x", "No rule of the access file lets bob upload to x."),
            ("rules", "anonymous", Action.READ, "acme-x", "A login is needed to read acme-x."),
            ("private", "anonymous", Action.READ, "x", "A login is needed to read x."),
            ("rules", "dave", Action.READ, "acme-x", "Rule 1 of the access file does not let dave read acme-x."),
            ("rules", "carol", Action.DELETE, "acme-x", "Rule 1 of the access file lets nobody delete files of acme-x."),
            (
                "rules", "dave-read", Action.UPLOAD, "tool",
                "The token d4d4d4d4 is limited to read, and cannot be used to upload to tool.",
            ),
            ("rules", "carol-upload", Action.UPLOAD, "x", "The token c3c3c3c3 is limited to other projects than x."),
        ],
    )  # fmt: skip
    def test_why(self, file: str, label: str, action: Action, project: str, sentence: str) -> None:
        """One sentence, with the rule and the word of it that decided."""
        assert why(file, label, action, project) == sentence

    def test_a_token_for_nothing(self) -> None:
        """Even that has its sentence."""
        token = TokenLimits("t1", frozenset(), ("*",))
        sentence = default_access().decide(Identity("bob", token), Action.UPLOAD, named("x"), None).why
        assert sentence == "The token t1 is limited to nothing, and cannot be used to upload to x."

    def test_a_refusal_tells_nothing_of_others(self) -> None:
        """Neither who may, nor what else the rule is about."""
        rules = parse_access(b'[[rule]]\nprojects = ["secret-plan", "acme-*"]\nread = ["alice", "owner"]')
        for identity in (ANYONE, Identity("bob"), Identity("bob", TOKEN)):
            sentence = rules.decide(identity, Action.READ, named("acme-x"), "carol").why
            assert not {word for word in ("alice", "carol", "secret", "owner") if word in sentence}

    def test_a_refusal_is_the_same_whether_or_not_it_exists(self) -> None:
        """An owner is all that could tell of a project; nobody who may not read it sees a difference."""
        rules = parse_access(b'[[rule]]\nprojects = ["*"]\nread = ["owner"]')
        for identity in (ANYONE, Identity("bob")):
            assert rules.decide(identity, Action.READ, named("x"), "carol") == rules.decide(
                identity, Action.READ, named("x"), None
            )


class TestExplain:
    def test_with_rules(self) -> None:
        """Who may do what, by which rule; groups with their users."""
        assert access("rules").explain(named("acme-app"), "carol") == (
            "read: group:staff (alice, bob), group:release (carol), token:e5e5e5e5 (rule 1, acme-*)",
            "upload: group:release (carol), token:b2b2b2b2, token:e5e5e5e5 (rule 1, acme-*)",
            "yank: owner (carol) (rule 1, acme-*)",
            "delete: nobody (rule 1, acme-*)",
            "audit: bob (rule 1, acme-*)",
            "admin: alice (rule 1, acme-*)",
            "Who may admin a project may do all of this.",
            UPLOADS_LINE,
        )

    def test_of_a_name_that_nobody_owns(self) -> None:
        """What the word owner means then."""
        lines = access("rules").explain(named("fresh"), None)
        assert "upload: owner (nobody yet: of a new name, the first who uploads) (rule 3, *)" in lines
        assert "admin: owner (nobody yet) (rule 3, *)" in lines

    def test_without_rules(self) -> None:
        """The defaults say that they are."""
        assert access("no-rules").explain(named("x"), None)[:2] == (
            "read: anyone (no rule decides)",
            "upload: nobody (no rule decides)",
        )
        assert (
            access("no-file").explain(named("x"), None)[1]
            == "upload: authenticated (there is no access file)"
        )

    @pytest.mark.parametrize(
        ("size", "text"),
        [(0, "0"), (1, "1"), (1023, "1023"), (1024, "1K"), (3 << 20, "3M"), (5 << 40, "5120G")],
    )
    def test_sizes(self, size: int, text: str) -> None:
        """As the file would have them."""
        lines = Access(uploads=UploadRules(max_file_size=size)).explain(named("x"), None)
        assert f"max-file-size = {text}," in lines[-1]

    def test_an_empty_group(self) -> None:
        """A group of nobody is shown as such."""
        rules = parse_access(b'groups.staff = []\n[[rule]]\nprojects = ["*"]\nread = ["group:staff"]')
        assert rules.explain(named("x"), None)[0] == "read: group:staff (nobody) (rule 1, *)"


class TestUploadRules:
    def test_first_rule_that_names_a_check_decides_about_it(self) -> None:
        """Each check by itself, and [uploads] for the rest."""
        rules = parse_access(
            b"""
            uploads = { max-file-size = 10, require-record = false }
            rule = [
                { projects = ["a*"], max-file-size = 0 },
                { projects = ["ab"], max-file-size = 30, overwrite = true },
                { projects = ["abc"], overwrite = false, local-versions = false },
            ]
            """
        )
        base = UploadRules(max_file_size=10, require_record=False)
        assert rules.upload_rules(named("x")) is rules.uploads
        assert rules.uploads == base
        assert rules.upload_rules(named("a")) == replace(base, max_file_size=0)
        assert rules.upload_rules(named("ab")) == replace(base, max_file_size=0, overwrite=True)
        assert rules.upload_rules(named("abc")) == replace(base, max_file_size=0, local_versions=False)

    def test_are_what_the_judgement_of_uploads_asks_for(self) -> None:
        """The same attributes with the same meaning; mypy compares their types."""
        asked = default_access().upload_rules(named("x"))
        upload.judge_size(named("x"), 2 * 1024**3, 1 << 50, asked)
        with pytest.raises(RefusedUpload):
            upload.judge_size(named("x"), 2 * 1024**3 + 1, 0, asked)

    def test_without_a_file(self) -> None:
        """The documented defaults."""
        assert default_access().upload_rules(named("x")) == UploadRules(
            local_versions=True,
            max_file_size=2 * 1024**3,
            max_project_size=0,
            require_record=True,
            normalized_names=True,
            overwrite=False,
        )


def test_owners_matter_only_where_a_rule_says_owner() -> None:
    """So that callers need not keep them otherwise."""
    assert access("rules").uses_owners
    assert not access("private").uses_owners
    assert not default_access().uses_owners


def test_nothing_hidden_is_the_same_tuple() -> None:
    """Callers compare by identity to keep a rendered listing."""
    names = tuple(OWNERS)
    assert access("no-rules").readable(ANYONE, names, {}) is names
    assert access("private").readable(Identity("alice"), names, {}) is names
    assert access("private").readable(ANYONE, names, {}) == ()
    assert access("no-rules").readable(ANYONE, list(names), {}) == names


def test_a_rule_below_one_for_all_cannot_hide_anything() -> None:
    """What is shadowed does not make callers filter."""
    rules = parse_access(b'rule = [{projects = ["*"], read = ["anyone"]}, {projects = ["x"], read = []}]')
    assert rules.everything_public
    assert rules.is_public(named("x"))


def test_readers_are_few_classes() -> None:
    """Whom no rule lists reads what the anonymous read, and members of one group read the same."""
    rules = access("rules")
    without_owner = parse_access(RULES.replace(b'read = ["owner"]', b"").replace(b'admin = ["owner"]', b""))
    assert rules.reader_class(Identity("erin")) != rules.reader_class(Identity("frank"))
    assert without_owner.reader_class(Identity("erin")) == without_owner.reader_class(ANYONE)
    assert without_owner.reader_class(Identity("bob")) != without_owner.reader_class(ANYONE)
    assert access("no-rules").reader_class(Identity("alice")) == access("no-rules").reader_class(ANYONE)
    private = access("private")
    assert private.reader_class(Identity("bob")) == private.reader_class(Identity("carol"))
    assert private.reader_class(IDENTITIES["carol-upload"]) == private.reader_class(ANYONE)


# No clock decides: the machine may be busy with something else.
PROPERTY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

# What must hold for any rules, over a small world in which everything meets often.

NAMES = tuple(named(text) for text in ("acme", "acme-a", "acme-b", "tool", "tool-a"))
PATTERNS = ("*", "acme", "acme-*", "*-a", "t?ol*", "acme-b", "acme*")
WORDS = ("alice", "bob", "group:staff", "group:other", "token:t1", "token:t2", "authenticated", "owner")
GROUPS = {"group:staff": ("alice", "carol"), "group:other": ("bob",)}


def who(words: tuple[str, ...]) -> Principals:
    """A list of a rule."""
    return Principals(words, {word: GROUPS[word] for word in words if word in GROUPS})


def lists(action: Action) -> st.SearchStrategy[Principals]:
    """Any list that the file could have for an action."""
    words = WORDS + (("anyone",) if action is Action.READ else ())
    return st.lists(st.sampled_from(words), unique=True, max_size=3).map(lambda chosen: who(tuple(chosen)))


def rules_of(number: int) -> st.SearchStrategy[AccessRule]:
    """Any rule in some place."""
    return st.builds(
        AccessRule,
        st.just(number),
        st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2, unique=True).map(tuple),
        st.fixed_dictionaries({}, optional={action: lists(action) for action in Action}),
    )


@st.composite
def accesses(draw: st.DrawFn) -> Access:
    """Any rules, public or private."""
    rules = tuple(draw(rules_of(number)) for number in range(1, draw(st.integers(0, 4)) + 1))
    private = draw(st.booleans()) and not any(
        Action.READ in rule.who and rule.who[Action.READ].anyone for rule in rules
    )
    return Access(rules, private, from_file=draw(st.booleans()))


def tokens() -> st.SearchStrategy[TokenLimits]:
    """Any limits."""
    return st.builds(
        TokenLimits,
        st.sampled_from(["t1", "t2", "t3"]),
        st.frozensets(st.sampled_from(list(Action))),
        st.lists(st.sampled_from(PATTERNS), max_size=2).map(tuple),
    )


USERS = st.sampled_from([None, "alice", "bob", "carol", "dave"])
IDENTITY = st.builds(Identity, USERS, st.none() | tokens())
ACTION = st.sampled_from(list(Action))
NAME = st.sampled_from(NAMES)
OWNER = st.sampled_from([None, "alice", "bob", "dave"])
QUESTION = st.tuples(IDENTITY, ACTION, NAME, OWNER)
OWNING = st.dictionaries(NAME, st.sampled_from(["alice", "bob", "dave"]))


def expected(rules: Access, identity: Identity, action: Action, name: ProjectName, owner: str | None) -> bool:
    """The documented rules once more, word for word and slowly."""

    def listed(asked: Action) -> bool:
        for rule in rules.rules:
            if asked in rule.who and any(fnmatchcase(name, pattern) for pattern in rule.projects):
                return any(means(word, asked) for word in rule.who[asked].words)
        if asked is Action.READ:
            return identity.authenticated or not rules.private
        return asked is Action.UPLOAD and not rules.from_file and identity.authenticated

    def means(word: str, asked: Action) -> bool:
        if word == "owner":
            unowned = owner is None and asked is Action.UPLOAD
            return identity.user is not None and (unowned or owner == identity.user)
        if word.startswith("group:"):
            return identity.user in GROUPS[word]
        if word.startswith("token:"):
            return identity.token is not None and word == f"token:{identity.token.id}"
        return word == "anyone" or (
            identity.authenticated if word == "authenticated" else word == identity.user
        )

    token = identity.token
    if token is not None:
        within = action in token.actions or Action.ADMIN in token.actions
        if not within or not any(fnmatchcase(name, pattern) for pattern in token.projects):
            return action is Action.READ and expected(rules, ANYONE, action, name, owner)
    return listed(action) or listed(Action.ADMIN)


@PROPERTY
@given(accesses(), IDENTITY, ACTION, NAME, OWNER)
def test_the_first_rule_decides(
    rules: Access, identity: Identity, action: Action, name: ProjectName, owner: str | None
) -> None:
    """Compiled and looked up, the rules mean what they say."""
    decision = rules.decide(identity, action, name, owner)
    assert decision.allowed is expected(rules, identity, action, name, owner)
    assert decision.why.endswith(".")


@PROPERTY
@given(accesses(), QUESTION, st.data())
def test_removing_somebody_lets_nobody_do_more(
    rules: Access, question: tuple[Identity, Action, ProjectName, str | None], data: st.DataObject
) -> None:
    """An operator who strikes a word out only ever closes something."""
    places = [
        (at, key, word)
        for at, rule in enumerate(rules.rules)
        for key, listed in rule.who.items()
        for word in listed.words
    ]
    if not places:
        return
    at, key, struck = data.draw(st.sampled_from(places))
    rule = rules.rules[at]
    fewer = who(tuple(word for word in rule.who[key].words if word != struck))
    changed = replace(rule, who={**rule.who, key: fewer})
    less = replace(rules, rules=(*rules.rules[:at], changed, *rules.rules[at + 1 :]))
    if less.decide(*question).allowed:
        assert rules.decide(*question).allowed


@PROPERTY
@given(accesses(), tokens(), st.tuples(ACTION, NAME, OWNER), USERS.filter(bool))
def test_a_token_is_never_more_than_its_user(
    rules: Access, token: TokenLimits, question: tuple[Action, ProjectName, str | None], user: str
) -> None:
    """Unless a rule lists the token itself; and never more than its limits, beyond what is public."""
    action, name, _ = question
    unlisted = replace(token, id="t9")
    if rules.decide(Identity(user, unlisted), *question).allowed:
        assert rules.decide(Identity(user), *question).allowed
    public = action is Action.READ and rules.is_public(name)
    if rules.decide(Identity(user, token), *question).allowed and not public:
        assert token.allow(action)
        assert token.cover(name)


@PROPERTY
@given(accesses(), IDENTITY, ACTION, NAME, OWNER)
def test_who_administers_may_do_everything(
    rules: Access, identity: Identity, action: Action, name: ProjectName, owner: str | None
) -> None:
    """Also with a token."""
    if rules.decide(identity, Action.ADMIN, name, owner).allowed:
        assert rules.decide(identity, action, name, owner).allowed


@PROPERTY
@given(accesses(), IDENTITY, NAME, OWNER, ACTION)
def test_the_anonymous_only_read(
    rules: Access, identity: Identity, name: ProjectName, owner: str | None, action: Action
) -> None:
    """And everybody reads what they do."""
    allowed = rules.decide(ANYONE, action, name, owner).allowed
    assert allowed is (action is Action.READ and rules.is_public(name))
    if allowed:
        assert rules.decide(identity, action, name, owner).allowed


@PROPERTY
@given(accesses(), IDENTITY, OWNING)
def test_readable_is_what_may_be_read(
    rules: Access, identity: Identity, owners: Mapping[ProjectName, str]
) -> None:
    """The quick way and the single decisions agree."""
    expected = tuple(
        name for name in NAMES if rules.decide(identity, Action.READ, name, owners.get(name)).allowed
    )
    found = rules.readable(identity, NAMES, owners)
    assert found == expected
    assert (found is NAMES) is (found == NAMES)
    if rules.everything_public:
        assert found is NAMES


@PROPERTY
@given(accesses(), IDENTITY, IDENTITY, OWNING)
def test_one_class_reads_the_same(
    rules: Access, one: Identity, other: Identity, owners: Mapping[ProjectName, str]
) -> None:
    """So one rendered listing serves them all."""
    assert hash(rules.reader_class(one)) == hash(rules.reader_class(one))
    if rules.reader_class(one) == rules.reader_class(other):
        assert rules.readable(one, NAMES, owners) == rules.readable(other, NAMES, owners)


@PROPERTY
@given(accesses(), OWNING)
def test_the_quick_answer_is_right_in_both_directions(
    rules: Access, owners: Mapping[ProjectName, str]
) -> None:
    """Everything is public exactly if no name is hidden; the names here meet every pattern."""
    if rules.everything_public:
        assert all(map(rules.is_public, NAMES))


@PROPERTY
@given(accesses(), NAME, OWNER)
def test_everything_can_be_explained(rules: Access, name: ProjectName, owner: str | None) -> None:
    """A line per action, whatever the rules."""
    lines = rules.explain(name, owner)
    assert [line.partition(":")[0] for line in lines[: len(Action)]] == [action.value for action in Action]
    assert lines[-1].startswith("uploads: ")


class TestGrants:
    @pytest.mark.parametrize("file", FILES)
    def test_say_what_is_decided(self, file: str) -> None:
        """For every user, action and project of the matrix, with every owner of the project."""
        rules = access(file)
        for case in cases(file):
            identity = IDENTITIES[case.label]
            if identity.token is not None:
                continue
            name, owner = named(case.project), OWNERS.get(named(case.project))
            granted = False
            for action in {case.action, Action.ADMIN}:
                grants = rules.grants(identity, action)
                grant = next(each for each in grants if matcher(each.projects).find(name) is not None)
                owns = owner == identity.user or (owner is None and action is Action.UPLOAD)
                granted |= grant.allowed or (grant.as_owner and owns)
            assert granted is case.allowed, case
            assert not case.allowed or case.action in rules.possible_actions(identity)

    @pytest.mark.parametrize(
        ("label", "action", "sentence"),
        [
            ("alice", Action.READ, "every project"),
            ("alice", Action.UPLOAD, "vault; of all others: those that you published first, and new names"),
            ("bob", Action.READ, "not vault; all others"),
            ("bob", Action.YANK, "a, b-*"),
            ("bob", Action.DELETE, "no project"),
            ("bob", Action.ADMIN, "those that you published first"),
        ],
    )
    def test_in_words(self, label: str, action: Action, sentence: str) -> None:
        rules = parse_access(
            b"""
            [[rule]]
            projects = ["vault"]
            read = ["alice"]
            upload = ["alice"]
            [[rule]]
            projects = ["a", "b-*"]
            yank = ["bob"]
            [[rule]]
            projects = ["*"]
            read = ["authenticated"]
            upload = ["owner"]
            admin = ["owner"]
            """
        )
        assert granted_projects(rules.grants(Identity(label), action), action, names_others=True) == sentence

    @pytest.mark.parametrize(
        ("action", "sentence"),
        [
            (Action.READ, "open; all others but some"),
            (Action.UPLOAD, "of every project but some: those that you published first, and new names"),
            (Action.YANK, "every project but some"),
            (Action.DELETE, "b-*"),
            (Action.ADMIN, "no project"),
        ],
    )
    def test_in_words_for_who_may_not_read_all(self, action: Action, sentence: str) -> None:
        """A rule has the names of projects that are hidden from everybody else."""
        rules = parse_access(
            b"""
            [[rule]]
            projects = ["open"]
            read = ["bob"]
            [[rule]]
            projects = ["merger-with-acme", "x-*"]
            read = ["alice"]
            upload = ["alice"]
            yank = ["alice"]
            delete = ["alice"]
            [[rule]]
            projects = ["b-*"]
            delete = ["bob"]
            [[rule]]
            projects = ["*"]
            read = ["anyone"]
            upload = ["owner"]
            yank = ["bob"]
            """
        )
        grants = rules.grants(Identity("bob"), action)
        assert granted_projects(grants, action, names_others=False) == sentence
