"""Tags of wheels in words, and the table of a release with many of them."""

from __future__ import annotations

from simpleindex.core.files import File
from simpleindex.core.names import Kind
from simpleindex.web.people.project.wheel_tags import tags_of, wheel_table
from tests.fixtures.tables import for_each


def wheel(tags: str) -> File:
    return File(f"a-1.0-{tags}.whl", "1.0", Kind.WHEEL, 1, None, None)


@for_each(
    ("tags", "text"),
    [
        ("py3-none-any", "Python 3; any platform"),
        ("py2.py3-none-any", "Python 2, Python 3; any platform"),
        ("cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64", "CPython 3.12; Linux x86_64 (glibc 2.17)"),
        ("cp39-abi3-manylinux1_i686", "CPython 3.9 and newer; Linux 32-bit (glibc 2.5)"),
        ("cp313-cp313t-musllinux_1_2_aarch64", "CPython 3.13 without GIL; Linux (musl) aarch64 (musl 1.2)"),
        ("pp311-pypy311_pp73-macosx_11_0_arm64", "PyPy 3.11; macOS arm64 (macOS 11)"),
        ("cp312-cp312-macosx_10_9_universal2", "CPython 3.12; macOS all (macOS 10.9)"),
        ("cp312-cp312-win_amd64", "CPython 3.12; Windows x86_64"),
        ("cp312-cp312-win32", "CPython 3.12; Windows 32-bit"),
        ("cp312-cp312-linux_armv7l", "CPython 3.12; Linux armv7l"),
        ("cp314-cp314-ios_13_0_arm64_iphoneos", "CPython 3.14; iOS arm64 iphoneos (iOS 13.0)"),
        ("cp314-cp314-android_24_arm64_v8a", "CPython 3.14; Android arm64 v8a (Android 24)"),
        ("cp313-cp313-pyodide_2025_0_wasm32", "CPython 3.13; Pyodide wasm32 (Pyodide 2025.0)"),
        ("cp313-cp313-emscripten_4_0_9_wasm32", "CPython 3.13; Emscripten wasm32 (Emscripten 4.0.9)"),
        ("cp315-abi3.abi3t-win_arm64", "CPython 3.15 and newer; Windows arm64"),
        ("cp315-abi3t-win_arm64", "CPython 3.15 without GIL and newer; Windows arm64"),
        ("cp312-cp312-plan9_x", "CPython 3.12; plan9_x"),
        ("x-none-any", "x; any platform"),
    ],
)
def test_tags_in_words(tags: str, text: str) -> None:
    described = tags_of(wheel(tags))
    assert described is not None
    assert described.text == text


def test_an_sdist_and_an_odd_name_have_no_tags() -> None:
    assert tags_of(File("a-1.0.tar.gz", "1.0", Kind.SDIST, 1, None, None)) is None
    assert tags_of(File("a.whl", "1.0", Kind.WHEEL, 1, None, None)) is None


def test_many_wheels_are_a_table_in_natural_order() -> None:
    tags = [
        f"cp3{minor}-cp3{minor}-{platform}"
        for minor in (9, 10, 11)
        for platform in ("win_amd64", "linux_x86_64")
    ]
    table = wheel_table([wheel(each) for each in tags[:-1]])
    assert table is not None
    assert table.platforms == ("Linux x86_64", "Windows x86_64")
    assert [python for python, _ in table.rows] == ["CPython 3.11", "CPython 3.10", "CPython 3.9"]
    assert table.rows[0][1] == ("", "a-1.0-cp311-cp311-win_amd64.whl")
    assert wheel_table([wheel(each) for each in tags[:4]]) is None


def test_a_table_that_nobody_could_read_is_not_made() -> None:
    """A thousand wheels, each for another Python and another platform, took 22 seconds and gigabytes."""
    assert wheel_table([wheel(f"cp3{number}-none-plat{number}") for number in range(40)]) is not None
    assert wheel_table([wheel(f"cp3{number}-none-plat{number}") for number in range(50)]) is None
