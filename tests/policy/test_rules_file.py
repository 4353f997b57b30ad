"""The rules of a sources file: understood wholly, or refused with what is wrong, and where."""

from __future__ import annotations

import pytest
from packaging.specifiers import SpecifierSet

from simpleindex.core.errors import InvalidSources
from simpleindex.core.names import Kind, ProjectName
from simpleindex.policy.rules import DenialMode, PolicyAction, PolicyRule
from simpleindex.views.sources_file import parse_sources
from tests.fixtures.tables import for_each

BEGINNING = """
[[upstream]]
name = "pypi"
url = "https://index.example/simple/"
[[view]]
name = "stable"
sources = ["pypi"]
"""


def rules(text: str, top: str = "") -> tuple[PolicyRule, ...]:
    """The rules of a file with an upstream and a view."""
    return parse_sources(f"{top}\n{BEGINNING}\n{text}".encode()).rules


@for_each(
    ("text", "rule"),
    [
        ('action = "deny"', PolicyRule("rule 1", PolicyAction.DENY)),
        (
            (
                'name = "n"\naction = "allow"\nprojects = ["A_b", "c*"]\nexclude = ["c"]\nsources = ["local", "pypi"]\n'
                'views = ["main", "stable"]\nmessage = "Ask."'
            ),
            PolicyRule(
                "n",
                PolicyAction.ALLOW,
                projects=("a-b", "c*"),
                exclude=("c",),
                sources=frozenset({"local", "pypi"}),
                views=frozenset({"main", "stable"}),
                message="Ask.",
            ),
        ),
        (
            (
                'action = "deny"\nversions = "<2,!=1.5"\nkinds = ["wheel"]\ntags = ["*-*-Win_amd64"]\nprereleases = true\n'
                "yanked = false"
            ),
            PolicyRule(
                "rule 1",
                PolicyAction.DENY,
                versions=SpecifierSet("<2,!=1.5"),
                kinds=frozenset({Kind.WHEEL}),
                tags=("*-*-win_amd64",),
                prereleases=True,
                yanked=False,
            ),
        ),
        (
            'min-age = "7d"\nmax-size = "10M"\nrequires-hash = true',
            PolicyRule(
                "rule 1", PolicyAction.REQUIRE, min_age=604_800.0, max_size=10 << 20, requires_hash=True
            ),
        ),
        ("max-size = 5", PolicyRule("rule 1", PolicyAction.REQUIRE, max_size=5)),
        ("not-after = 1970-01-01", PolicyRule("rule 1", PolicyAction.REQUIRE, not_after=86_399.999999)),
        ("not-after = 1970-01-02T00:00:00", PolicyRule("rule 1", PolicyAction.REQUIRE, not_after=86_400.0)),
        (
            "not-after = 1970-01-02T00:00:00+01:00",
            PolicyRule("rule 1", PolicyAction.REQUIRE, not_after=82_800.0),
        ),
        ('deny-names = "bad.txt"', PolicyRule("rule 1", PolicyAction.DENY, lists=("deny-names:bad.txt",))),
        (
            'action = "allow"\nadvisories = "osv"',
            PolicyRule("rule 1", PolicyAction.ALLOW, lists=("advisories:osv",)),
        ),
        (
            'action = "quarantine"\nprojects = ["x"]',
            PolicyRule("rule 1", PolicyAction.QUARANTINE, projects=("x",)),
        ),
        (
            'action = "deny"\nblocked = "404"',
            PolicyRule("rule 1", PolicyAction.DENY, blocked=DenialMode.NOT_HERE),
        ),
    ],
)
def test_rules(text: str, rule: PolicyRule) -> None:
    """Every key, and what holds where one is left out."""
    assert rules(f"[[rule]]\n{text}") == (rule,)


def test_own_directories() -> None:
    """A rule is not about what the team publishes itself, wherever it lies."""
    directory = '[[directory]]\nname = "staging"\npath = "staging"\n'
    named, other = rules(
        f'{directory}[[rule]]\naction = "deny"\nsources = ["staging"]\n[[rule]]\naction = "deny"'
    )
    assert named.own == other.own == {"local", "staging"}
    assert named.concerns(ProjectName("acme"), "staging")
    assert not other.concerns(ProjectName("acme"), "staging")
    assert other.concerns(ProjectName("acme"), "pypi")


def test_blocked_for_all() -> None:
    """The key above all rules holds where one does not say otherwise."""
    text = '[[rule]]\naction = "deny"\n[[rule]]\naction = "deny"\nblocked = "empty"'
    assert [each.blocked for each in rules(text, 'blocked = "403"')] == [DenialMode.REFUSED, DenialMode.EMPTY]


@for_each(
    ("text", "sentence"),
    [
        (
            "",
            "has nothing that rule 1 does: give it an action (deny, allow, quarantine) or what files must have (min-age,",
        ),
        ('name = "n"\nprojects = ["x"]', "has nothing that the rule n does"),
        ('action = "block"', "has an unknown value of 'action' of rule 1 (known: deny, allow, quarantine)"),
        ('action = "dney"', "has an unknown value of 'action' of rule 1; did you mean 'deny'?"),
        ("action = 1", "has an unknown value of 'action' of rule 1"),
        ('action = "require"', "has an unknown value of 'action' of rule 1"),
        ('action = "deny"\nmin-age = "7d"', "has both an 'action' and 'min-age' in rule 1"),
        (
            'deny-names = "x"\nmin-age = "7d"',
            "has both 'deny-names' and 'min-age' in rule 1; make it two rules",
        ),
        ('min-age = "7d"\nblocked = "404"', "has 'blocked' in rule 1, which denies no whole project"),
        (
            'action = "quarantine"\nversions = "<2"',
            "has 'versions' in rule 1, but whole projects are quarantined",
        ),
        ('min-age = "7"', "has a value of 'min-age' of rule 1 that is no time"),
        ("min-age = 7", "has a value of 'min-age' of rule 1 that is no time"),
        ('min-age = "0d"', "has a value of 'min-age' of rule 1 that is no time"),
        ('max-size = "x"', "has a value of 'max-size' of rule 1 that is no size such as"),
        ("max-size = true", "has a value of 'max-size' of rule 1 that is no size"),
        ("max-size = 0", "has a value of 'max-size' of rule 1 that is no size"),
        ('not-after = "2026-01-01"', "has a 'not-after' of rule 1 that is no date; write it without quotes"),
        (
            "requires-hash = false",
            "has requires-hash = false in rule 1, which requires nothing; leave it out",
        ),
        ('requires-hash = "yes"', "has a value of 'requires-hash' of rule 1 that is neither true nor false"),
        (
            'action = "deny"\nversions = "2"',
            "has 'versions' of rule 1 that are no specifier (PEP 440), such as",
        ),
        ('action = "deny"\nkinds = ["egg"]', "has an unknown value of 'kinds' of rule 1"),
        ('action = "deny"\nkinds = []', "has no 'kinds' in rule 1; leave the key out where it is about all"),
        (
            'action = "deny"\ntags = ["win_amd64"]',
            "has the tag 'win_amd64' in rule 1, which is none of a wheel's",
        ),
        ('action = "deny"\ntags = []', "has no 'tags' in rule 1"),
        ('action = "deny"\nprojects = []', "has no 'projects' in rule 1; leave the key out"),
        ('action = "deny"\nprojects = ["-x"]', "has for 'projects' of rule 1 the project '-x'"),
        (
            'action = "deny"\nsources = ["pyp"]',
            "has an unknown name 'pyp' in 'sources' of rule 1; did you mean 'pypi'?",
        ),
        (
            'action = "deny"\nsources = []',
            "has no 'sources' in rule 1; leave the key out where it holds for all",
        ),
        (
            'action = "deny"\nviews = ["x"]',
            "has an unknown name 'x' in 'views' of rule 1 (known: main, stable)",
        ),
        (
            'action = "deny"\nmin_age = "7d"',
            "has the unknown key 'min_age' in rule 1; did you mean 'min-age'?",
        ),
        ('action = "deny"\nname = ""', "has what is no text for 'name' of rule 1"),
        ('action = "deny"\nname = "a\\nb"', "has a 'name' of rule 1 that is no short text on one line"),
        (
            'action = "deny"\nmessage = "a\\u0007"',
            "has a 'message' of rule 1 that is no text of at most 300 characters",
        ),
        ('action = "deny"\nname = "n"\n[[rule]]\naction = "deny"\nname = "n"', "has two rules called 'n'"),
        ('action = "deny"\nblocked = "410"', "has an unknown value of 'blocked' of rule 1"),
    ],
)
def test_refused(text: str, sentence: str) -> None:
    """What could be read in two ways, or does nothing, is refused."""
    with pytest.raises(InvalidSources) as caught:
        rules(f"[[rule]]\n{text}")
    assert sentence in str(caught.value)
