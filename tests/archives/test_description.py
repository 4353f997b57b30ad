"""Descriptions as HTML: what of Markdown, reStructuredText and plain text is kept, and what no page may get from them."""

from __future__ import annotations

import re

import pytest

from simpleindex.archives.description import render_description

MARKDOWN = """# Some *heading*

[up](#some-heading) [beside](x/y.rst)

- [x] done
- [ ] open

| left | right |
|:-----|------:|
| a    | 1     |

```python
def f(): return "x"  # why
```

A note[^1].

[^1]: Its text.

> [!WARNING]
> Hot.
"""
RST = """Heading
=======

.. contents::

.. warning:: Hot.

.. code-block:: python

   def f(): return 1

Usage
-----

See `Usage`_ and [1]_.

.. [1] Its text.
"""


def html(text: str, content_type: str = "text/markdown") -> str:
    return render_description(text, content_type).html


@pytest.mark.parametrize(
    ("text", "content_type"), [(MARKDOWN, "text/markdown"), (RST, ""), (RST, "text/x-rst")]
)
def test_links_within_a_description_lead_to_their_places(text: str, content_type: str) -> None:
    made = html(text, content_type)
    targets = re.findall(r'href="#([^"]+)"', made)
    places = re.findall(r'id="([^"]+)"', made)
    assert len(targets) >= 3
    assert set(targets) <= set(places)
    assert "x/y.rst" not in made


@pytest.mark.parametrize(("text", "content_type"), [(MARKDOWN, "text/markdown"), (RST, "")])
def test_code_has_colours_and_warnings_look_like_some(text: str, content_type: str) -> None:
    made = html(text, content_type)
    assert '<span class="k">def</span>' in made
    assert 'class="admonition warning"' in made
    assert "<aside" not in made, "that is what a page has beside a description"


def test_done_and_open_tasks_can_be_told_apart() -> None:
    made = html(MARKDOWN)
    assert "<li>\u2611 done</li>" in made
    assert "<li>\u2610 open</li>" in made
    assert "input" not in html(
        '<input type="text" value="x"> <input type="submit"> <input type="image" src="x">'
    )


def test_columns_keep_their_side() -> None:
    made = html(MARKDOWN)
    assert '<th align="right">right</th>' in made
    assert "align" not in html('<table><tr><td align="x;y">a</td></tr></table>')


@pytest.mark.parametrize(
    "place", ["content", "q", "files", "user-content-x y", "user-content-", "fn-" + "x" * 300]
)
def test_no_place_of_the_page_itself_can_be_taken(place: str) -> None:
    made = html(f'<h2 id="{place}">x</h2> <a href="#{place}">y</a>')
    assert f'id="{place}"' not in made


def test_a_place_is_there_once() -> None:
    assert html('<b id="fn-1">x</b> <i id="fn-1">y</i> <s id="fn-1">z</s>').count("id=") == 1


def test_no_class_of_the_site_can_be_taken() -> None:
    made = html(
        '<div class="tabs copy tip"><p class="note snippet">x</p><span class="mark bad k">y</span></div>'
    )
    assert not {"tabs", "copy", "snippet", "mark", "bad"} & {
        each for classes in re.findall(r'class="([^"]*)"', made) for each in classes.split()
    }


@pytest.mark.parametrize(
    ("text", "content_type"),
    [
        ("a <b>\n  indented\n", "text/plain"),
        ("a <b>\n  indented\n", "text/asciidoc"),
        ("Title\n===\n\n.. nosuch::\n\n  a <b>\n  indented\n", "text/x-rst"),
    ],
)
def test_what_cannot_be_rendered_is_shown_as_it_is_written(text: str, content_type: str) -> None:
    made = html(text, content_type)
    assert made.startswith("<pre>")
    assert "a &lt;b&gt;\n  indented\n" in made


def test_headings_are_below_that_of_the_page() -> None:
    made = html("# Title\n\n## Part\n\n###### Deep\n")
    assert re.findall("<(h[1-6])", made) == ["h2", "h3", "h6"]
    assert re.findall("</(h[1-6])", made) == ["h2", "h3", "h6"]


@pytest.mark.parametrize("text", ["&lt;h1&gt;", "`<h1>`", "<header>x</header>", "<hr>"])
def test_nothing_else_is_taken_for_a_heading(text: str) -> None:
    assert "<h2" not in html(text)
