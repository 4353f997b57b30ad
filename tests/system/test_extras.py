"""What is said where an extra is missing never names a package on an index, which may be somebody else's."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError

import pytest

from simpleindex.system.extras import how_to_install, missing


@pytest.mark.parametrize(
    ("direct_url", "end"),
    [
        (
            {"url": "file:///opt/my%20clone", "dir_info": {"editable": True}},
            "pip install '/opt/my clone[publish]'.",
        ),
        (
            {"url": "https://git.example/x.git", "vcs_info": {}},
            "pip install 'https://git.example/x.git[publish]'.",
        ),
        ({"url": "https://me:secret@git.example/x.git"}, "pip install 'https://git.example/x.git[publish]'."),
        (None, "with the extra 'publish' from where you had it."),
        ({}, "with the extra 'publish' from where you had it."),
        ({"url": 5}, "with the extra 'publish' from where you had it."),
        ([], "with the extra 'publish' from where you had it."),
    ],
)
def test_how_an_extra_is_added(direct_url: object, end: str) -> None:
    """From where the installation came (PEP 610); where that was an index it is left to the operator."""
    text = None if direct_url is None else json.dumps(direct_url)
    sentence = how_to_install("publish", "1.2", text)
    assert sentence.endswith(end)
    assert "twisted-simpleindex[" not in sentence
    assert "secret" not in sentence


def test_a_copy_that_is_not_installed() -> None:
    """As from a checkout."""
    assert how_to_install("publish", None, None).endswith("pip install '.[publish]' in its directory.")


def test_a_sentence_of_a_copy_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no metadata that say where it came from."""

    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.distribution", absent)
    assert missing("tomlkit", "publish").endswith("pip install '.[publish]' in its directory.")


def test_the_sentence() -> None:
    """With the library and the extra."""
    assert missing("tomlkit", "publish").startswith(
        "Python's tomlkit is not installed, which the extra 'publish' of simpleindex brings: "
    )
