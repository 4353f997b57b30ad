"""What ``simpleindex check``, the log and the status say of things that are meant to be served and are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simpleindex.commands.main import main
from simpleindex.core.names import LEDGER
from simpleindex.directory.layout.unserved import Unserved, UnservedCause, sum_up
from simpleindex.service.directory_report import catalogue_lines, live_report, taken_line
from tests.fixtures.distributions import add_wheel, put, wheel_bytes, wheel_name
from tests.fixtures.live_directory import LiveDirectoryFixture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def link(name: str, target: str) -> Callable[[Path], None]:
    """A link in the root."""

    def make(root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(target)

    return make


def files(*paths: str) -> Callable[[Path], None]:
    """Wheels, under any name."""

    def make(root: Path) -> None:
        for path in paths:
            put(root / path, wheel_bytes())

    return make


def yanks(toml: str, *more: str) -> Callable[[Path], None]:
    """A project with one wheel, whose file yanks something."""

    def make(root: Path) -> None:
        add_wheel(root, "acme")
        put(root / "acme" / "simpleindex.toml", f"[yanked]\n{toml}\n".encode())
        for name in more:
            put(root / "acme" / LEDGER, name.encode())

    return make


# What lies there; why it is not served, how many, and one of them.
MISTAKES = [
    (link("acme", "../outside"), UnservedCause.LINK, 1, "acme"),
    (link("acme", "nowhere"), UnservedCause.DANGLING, 1, "acme"),
    (link("acme", "acme"), UnservedCause.DANGLING, 1, "acme"),
    (files("not a name/acme-1.0-py3-none-any.whl", "_x/acme-1.0.zip"), UnservedCause.NO_NAME, 2, None),
    (
        files("acme/1.0/acme-1.0-py3-none-any.whl"),
        UnservedCause.DEEPER,
        1,
        "acme/1.0/acme-1.0-py3-none-any.whl",
    ),
    (files(*(f"acme/dist/acme-{number}.zip" for number in range(30))), UnservedCause.DEEPER, 30, None),
    (
        files("acme/ACME-1.0.TAR.GZ", "other/x-1.WHL", "Loose-1.0.ZIP"),
        UnservedCause.CAPITALS,
        3,
        "Loose-1.0.ZIP",
    ),
    (files("acme/acme-1.0-py3.9.egg", "acme-2.0-py3.9.egg"), UnservedCause.FORMAT, 2, "acme-2.0-py3.9.egg"),
    (yanks('"7.7" = "gone"'), UnservedCause.YANK, 1, '"7.7" in acme/simpleindex.toml'),
    (yanks('"acme-1.O.tar.gz" = true\n"8" = true'), UnservedCause.YANK, 2, None),
    (yanks('"ACME-1.0-py3-none-any.whl" = "capitals"'), UnservedCause.YANK, 1, None),
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_is_said_in_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    mistake: tuple[Callable[[Path], None], UnservedCause, int, str | None],
) -> None:
    """At the start, in the status and by the command, which exits with 1; in the log when it comes later."""
    make, cause, count, example = mistake
    (tmp_path / "outside").mkdir()
    root = tmp_path / "root"
    make(root)
    world = LiveDirectoryFixture(root).begin()
    (item,) = live_report(world.live, "off").passed_over
    assert (item.cause, item.count) == (cause, count)
    assert example in {None, item.example}
    assert str(item) in [*catalogue_lines(live_report(world.live, "off"), str(root))]
    assert main(["check", "--path", str(root), "--cache", str(tmp_path / "cache")]) == 1
    assert capsys.readouterr().out.splitlines().count(str(item)) == 1
    later = LiveDirectoryFixture(tmp_path / "later").begin()
    make(tmp_path / "later")
    later.live.root_changed()
    later.live.directories_changed(frozenset(path.name for path in (tmp_path / "later").iterdir()))
    assert [str(each) for each in later.live.unserved()] == [str(item)]
    # Each place is logged on its own as it is seen, with the same remedy.
    remedy = str(item).rsplit(". ", 1)[1].split(" ")[0]
    assert any(f". {remedy} " in line for line in later.lines)


@pytest.mark.parametrize(
    "make",
    [
        yanks('"1.0" = "a version"'),
        yanks('"1" = "another spelling of it"'),
        yanks(f'"{wheel_name()}" = true'),
        files("acme/README.TXT", "acme/docs/index.html", "not a name/notes.txt", ".hidden/acme-1.0.zip"),
        files("acme/.acme-1.0.zip.Xy12Zz", "acme/acme-1.0.zip.part"),
    ],
)
def test_what_is_no_mistake(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """What is on its way, or has nothing to do with distributions, is not reported."""
    make(tmp_path / "root")
    assert LiveDirectoryFixture(tmp_path / "root").begin().live.unserved() == ()
    assert main(["check", "--path", str(tmp_path / "root"), "--cache", str(tmp_path / "cache")]) == 0


def test_a_yank_of_what_was_deleted(tmp_path: Path) -> None:
    """It is no mistake: the file may be restored."""
    add_wheel(tmp_path / "root", "acme")
    put(tmp_path / "root" / "acme" / "simpleindex.toml", b'[yanked]\n"1.0" = "bad"\n"2.0" = "bad"\n')
    world = LiveDirectoryFixture(tmp_path / "root").begin()
    assert [item.cause for item in world.live.unserved()] == [UnservedCause.YANK]
    from simpleindex.publishing.local.writer import Writer

    add_wheel(tmp_path / "root", "acme", "2.0")
    Writer(world.directory).deletions.delete(world.project().name, [wheel_name("acme", "2.0")], who="test")
    assert LiveDirectoryFixture(tmp_path / "root").begin().live.unserved() == ()


def test_sentences() -> None:
    """One thing and many read well, and one example of each cause is enough."""
    one, many = (str(Unserved(UnservedCause.DEEPER, count, "a/b/c-1.0.zip")) for count in (1, 1200))
    assert one.startswith(
        "1 distribution lies deeper than one directory and is not served, for example a/b/c-1.0.zip."
    )
    assert many.startswith("1,200 distributions lie deeper than one directory and are not served")
    items = [
        Unserved(UnservedCause.FORMAT, 1, "b"),
        Unserved(UnservedCause.LINK, 1, "a"),
        Unserved(UnservedCause.FORMAT, 2, "c"),
    ]
    assert sum_up(items) == (Unserved(UnservedCause.LINK, 1, "a"), Unserved(UnservedCause.FORMAT, 3, "b"))


def test_names_by_directories_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are listed where upstreams are asked, but for those that allow-upstream names."""
    root = tmp_path / "root"
    add_wheel(root, "acme")
    for name in ("docs", "src", "tests"):
        (root / name).mkdir()
    world = LiveDirectoryFixture(root)
    # Before all is read, nothing is known to hold no distribution.
    assert world.live.names_by_entries() == ()
    assert world.begin().live.names_by_entries() == ("docs", "src", "tests")
    sources = tmp_path / "sources.toml"
    sources.write_text(
        'allow-upstream = ["s*"]\n[[upstream]]\nname = "up"\nurl = "http://127.0.0.1:1/simple/"\n'
    )
    arguments = [
        "check",
        "--path",
        str(root),
        "--cache",
        str(tmp_path / "cache"),
        "--state",
        str(tmp_path / "state"),
    ]
    assert main([*arguments, "--sources", str(sources)]) == 0
    assert "docs, tests: requested from no upstream, because" in capsys.readouterr().out
    assert main(arguments) == 0
    assert "requested from no upstream" not in capsys.readouterr().out
    assert taken_line(["docs"], ()) is not None
    assert taken_line(["docs"], ("docs",)) is None
    assert " and 10 more: " in str(taken_line([f"p{number}" for number in range(30)], ()))


@pytest.mark.parametrize(
    "case",
    [
        ("alice:$2b$10$" + "a" * 53, '[[rule]]\nprojects = ["*"]\nupload = ["alice"]\n', 0, "1 rule."),
        ("alice:$2b$10$" + "a" * 53, '[[rule]]\nprojects = ["*"]\nupload = ["alcie"]\n', 0, "did you mean 'alice'?"),
        ("alice:$2b$10$" + "a" * 53, '[groups]\ng = ["bob"]\n[[rule]]\nprojects = ["*"]\nread = ["group:g"]\n', 0, "'bob'"),
        (None, '[[rule]]\nprojcts = ["*"]\n', 1, "is not valid"),
        (None, '[[rule]]\nprojects = ["*"]\nupload = ["group:relaese"]\n', 1, "relaese"),
        ("alice", None, 1, "line 1 gives nobody access"),
        ("alice:$apr1$abc$def", None, 1, "alice"),
    ],
)  # fmt: skip
def test_files_about_people(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    case: tuple[str | None, str | None, int, str],
) -> None:
    """They are read as the server reads them, and users whom no password makes known are a hint."""
    users, access, status, sentence = case
    add_wheel(tmp_path / "root", "acme")
    arguments = ["check", "--path", str(tmp_path / "root"), "--cache", str(tmp_path / "cache")]
    for name, text in (("users", users), ("access", access)):
        if text is not None:
            (tmp_path / name).write_text(text)
            arguments += [f"--{name}", str(tmp_path / name)]
    assert main(arguments) == status
    assert sentence in capsys.readouterr().out


def test_the_hooks_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is read with all that it names; a mistake is one sentence."""
    add_wheel(tmp_path / "root", "acme")
    path = tmp_path / "hooks.toml"
    arguments = [
        "check",
        "--path",
        str(tmp_path / "root"),
        "--cache",
        str(tmp_path / "cache"),
        "--hooks",
        str(path),
    ]
    path.write_text('[[hook]]\nname = "mirror"\nrun = "/bin/true"\n')
    assert main(arguments) == 0
    assert f"{path}: Events are sent to 1 hook: mirror.\n" in capsys.readouterr().out
    path.write_text("# none\n")
    assert main(arguments) == 0
    assert "There is no hook yet." in capsys.readouterr().out
    path.write_text('[[hook]]\nrun = "/nowhere"\n')
    assert main(arguments) == 2
    assert "/nowhere cannot be used" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--users", "--access"])
def test_files_about_people_that_are_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    """A path that leads nowhere is a mistake as well."""
    add_wheel(tmp_path / "root", "acme")
    path = str(tmp_path / "nowhere")
    arguments = ["check", "--path", str(tmp_path / "root"), "--cache", str(tmp_path / "cache"), option, path]
    assert main(arguments) == 1
    assert f"{path} cannot be used: No such file or directory." in capsys.readouterr().out
