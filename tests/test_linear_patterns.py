"""Every pattern of the project takes time that is linear in its text (counted in steps, not timed), and matches alike on every Python 3.11."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from functools import cache
from pathlib import Path
from random import Random
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import simpleindex
from simpleindex.core.names import ProjectName, spelling_pattern
from simpleindex.core.patterns import FirstMatch
from tests.fixtures.depth import THOROUGH
from tests.fixtures.regex_steps import SteppedPattern, pumps

if TYPE_CHECKING:
    from collections.abc import Iterator

_METHODS = {"match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"}
_SHORT = 40 if THOROUGH else 14
"""Repetitions in the shorter of two texts."""

_NOT_OF_STRANGERS = {
    "web.people.guide_document._HEADING": "guides of the package",
    "config.layers._SERVICE_LINK": "names of the environment, which the operator sets; the kernel bounds them",
}


class Use(NamedTuple):
    """A pattern, and how it is used.

    Attributes:
        place: Module and name.
        pattern: Compiled.
        method: The method that is called.
    """

    place: str
    pattern: re.Pattern[Any]
    method: str


@cache
def uses() -> tuple[Use, ...]:
    """All patterns in the modules of the project, each once for each method that is called."""
    found = []
    for info in pkgutil.walk_packages(simpleindex.__path__, "simpleindex."):
        if info.name.endswith("__main__"):
            continue
        try:
            module = importlib.import_module(info.name)
        except ImportError:  # an extra is not installed
            continue
        assert module.__file__ is not None
        nodes = list(ast.walk(ast.parse(Path(module.__file__).read_text())))
        called = _called(nodes)
        named = {key: value for key, value in vars(module).items() if isinstance(value, re.Pattern)}
        for key, value in vars(module).items():
            if isinstance(value, dict):
                named |= {
                    f"{key}[{each!r}]": item for each, item in value.items() if isinstance(item, re.Pattern)
                }
        short = info.name.removeprefix("simpleindex.")
        for key, value in vars(module).items():
            owner = getattr(value, "__self__", None)
            if isinstance(owner, re.Pattern):
                found.append(Use(f"{short}.{key}", owner, value.__name__))
        for key, pattern in named.items():
            methods = _methods(called, key.partition("[")[0])
            place = f"{short}.{key}"
            if place not in _NOT_OF_STRANGERS:
                found += [Use(place, pattern, method) for method in sorted(methods)]
        found += [Use(f"{short}:{number}", pattern, method) for number, pattern, method in _inline(nodes)]
    return tuple({(use.pattern, use.method): use for use in found}.values())


def _called(nodes: list[ast.AST]) -> list[tuple[str, str]]:
    """The names of a module, or local ones, of which what may be a method of a pattern is used, and the method."""
    found = []
    for node in nodes:
        if isinstance(node, ast.Attribute) and node.attr in _METHODS:
            owner = node.value.value if isinstance(node.value, ast.Subscript) else node.value
            if isinstance(owner, ast.Name):
                found.append((owner.id, node.attr))
    return found


def _methods(called: list[tuple[str, str]], name: str) -> set[str]:
    """The methods that are called on a name of a module; if it is passed on, those that are called on any local name."""
    found = {method for owner, method in called if owner == name}
    others = {method for owner, method in called if owner.islower() and owner != "re"}
    return found or others - {"split"} or {"finditer"}


def _inline(nodes: list[ast.AST]) -> list[tuple[int, re.Pattern[Any], str]]:
    """Patterns that are written where they are used."""
    return [
        (node.lineno, re.compile(node.args[0].value), node.func.attr)
        for node in nodes
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        and node.func.attr in _METHODS
        and isinstance(node.args[0], ast.Constant)
    ]


def worst_growth(pattern: re.Pattern[Any], method: str) -> tuple[float, str]:
    """How much the steps grow at most when a text of several kinds is doubled, and what is repeated in it."""
    stepped, random = SteppedPattern(pattern), Random(repr(pattern.pattern))
    worst = (0.0, "")
    kinds: set[tuple[str, str, str]] = set()
    for _ in range(2 if THOROUGH else 1):
        whole, found = pumps(stepped.tree, random)
        for prefix, pump in [*found, ("", whole)]:
            kinds |= {(prefix, pump, suffix) for suffix in ("\x01", whole[-1:] + "\x01")}
        # What ends one repetition may begin the next.
        kinds |= {("", prefix + part, "\x01") for prefix, pump in found for part in (pump, pump[:1])}
    for prefix, pump, suffix in sorted(kinds):
        if not pump:
            continue
        short, long = (stepped.count(method, prefix + pump * (times * _SHORT) + suffix) for times in (1, 2))
        worst = max(worst, ((long - 50) / short, f"{prefix!r} {pump!r} {suffix!r}"))
    return worst


def test_twice_the_text_is_at_most_twice_the_work() -> None:
    """With whatever a pattern repeats itself, and an end that does not fit."""
    growths = {use: worst_growth(use.pattern, use.method) for use in uses()}
    worse = {f"{use.place}.{use.method}": text for use, (growth, text) in growths.items() if growth >= 2.5}
    assert not worse


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        (spelling_pattern(ProjectName("a-b-c")), ("-", "a-", "a-b-", "a-b")),
        (FirstMatch([["a*b*c", "*a*a*"], ["x?y-*"]])._regex, ("a", "b", "ab", "xay-", "ba")),
    ],
    ids=("spelling", "first-match"),
)
def test_patterns_that_are_made_of_names(pattern: re.Pattern[str], texts: tuple[str, ...]) -> None:
    """Of projects and of access rules; the names that are matched come from clients."""
    stepped = SteppedPattern(pattern)
    for text in texts:
        short, long = (stepped.count("match", text * times + "\x01") for times in (_SHORT, 2 * _SHORT))
        assert long < 2.5 * short + 50, text


@pytest.mark.parametrize(
    ("pattern", "method"),
    [
        (r".*?\s*=", "match"),
        (r"(a+)+b", "match"),
        (r"[a-z]+\d", "search"),
        (r"\s+$", "sub"),
        (r"a([\w./-]+?)//([^@]+)@.+", "fullmatch"),
        (r"(?:a|ab)*?c.*d", "search"),
    ],
)
def test_a_pattern_that_is_worse_is_seen(pattern: str, method: str) -> None:
    """Such as that of configparser for a key."""
    monkey = re.compile(pattern)
    if pattern == r"(a+)+b":
        assert SteppedPattern(monkey).count(method, "a" * 12) > 2.5 * SteppedPattern(monkey).count(
            method, "a" * 6
        )
    else:
        assert worst_growth(monkey, method)[0] > 2.5


def test_the_counted_match_is_that_of_the_library() -> None:
    """Else its steps would be worth nothing."""
    for pattern, place in {use.pattern: use.place for use in uses()}.items():
        stepped, random = SteppedPattern(pattern), Random(repr(pattern.pattern))
        is_text = isinstance(pattern.pattern, str)
        for _ in range(6 if THOROUGH else 2):
            whole, found = pumps(stepped.tree, random)
            for text in {whole, *(prefix + pump * 3 for prefix, pump in found)}:
                subject = text if is_text else text.encode("latin-1", "replace")
                match = pattern.match(subject)
                assert stepped.match(text) == (match.end() if match else None), (place, text)


def breaks_on_old_pythons(pattern: re.Pattern[Any]) -> bool:
    """Whether a possessive group repeats what can fail after it has moved on.

    Python 3.11.0 to 3.11.4, of which Debian 12 has 3.11.2, then go on from where the last, failed repetition came to
    (python/cpython#106052). An atomic group does the same, ``(?>(?:...)*)``, but remembers each repetition meanwhile.
    """
    return any(
        operator is sre.POSSESSIVE_REPEAT and len(value[2]) > 0 and _fails_after_moving(value[2])
        for operator, value in _items(_parser.parse(pattern.pattern, pattern.flags))
    )


def _items(tree: Any) -> Iterator[tuple[Any, Any]]:
    for operator, value in tree:
        yield operator, value
        for each in value if isinstance(value, list | tuple) else (value,):
            for part in each if isinstance(each, list) else (each,):
                if isinstance(part, _parser.SubPattern):
                    yield from _items(part)


def _fails_after_moving(tree: Any) -> bool:
    """Whether a part that keeps its place (all but single characters) comes after the first, and may fail there."""
    single = {sre.LITERAL, sre.NOT_LITERAL, sre.IN, sre.ANY}
    for number, (operator, value) in enumerate(tree):
        if operator is sre.BRANCH:
            if number or any(_fails_after_moving(part) for part in value[1]):
                return True
        elif operator not in single:
            can_fail = operator not in (sre.MAX_REPEAT, sre.POSSESSIVE_REPEAT) or value[0] > 0
            later = [item for item, _ in list(tree)[number + 1 :] if item in single]
            if number and (can_fail or later):
                return True
    return False


def test_no_pattern_breaks_on_old_pythons() -> None:
    """The server could not read its own certificate on Debian 12."""
    assert not {use.place for use in uses() if breaks_on_old_pythons(use.pattern)}


@pytest.mark.parametrize(
    ("pattern", "breaks"),
    [
        (r"(?:,b++)*+x", True),
        (r"(?:a|b(?!b))*+x", True),
        (r"(?:[^<]++|\"[^\"]*+\")*+>", True),
        (r"(?:[^<]++|\"[^\"]*+\"?+)*+>", False),
        (r"(?:(?:\r\n|\r|\n)[ \t][^\r\n]*+)*+", False),
        (r"(?>(?:,b++)*)x", False),
        (r"[a-z]*+x", False),
    ],
)
def test_a_pattern_that_breaks_is_seen(pattern: str, breaks: bool) -> None:
    """Found with Python 3.11.2: those that break match what they must not."""
    assert breaks_on_old_pythons(re.compile(pattern)) is breaks
