"""Badges are SVG images in which nothing of a name or version is markup."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from simpleindex.web.people.badge import draw_badge

SVG = "{http://www.w3.org/2000/svg}"
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), min_size=1, max_size=30)


@given(TEXT, TEXT)
def test_whatever_stands_in_it_is_text(label: str, text: str) -> None:
    image = ET.fromstring(draw_badge(label, text))
    assert [each.text for each in image.iter(f"{SVG}text")] == [label, text]
    assert image.attrib["aria-label"].split() == f"{label}: {text}".split()
    assert {each.tag.removeprefix(SVG) for each in image.iter()} == {
        "svg",
        "title",
        "rect",
        "path",
        "g",
        "text",
    }


def test_a_longer_name_has_a_wider_badge() -> None:
    widths = [
        int(ET.fromstring(draw_badge(label, "1.0")).attrib["width"]) for label in ("acme", "acme-rockets")
    ]
    assert widths[0] < widths[1]
