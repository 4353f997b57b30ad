"""What is not requested since a server asked to wait."""

from __future__ import annotations

from simpleindex.upstreams.http.waits import Wait, Waits
from tests.fixtures.tables import for_each

INDEX = "https://up.example/simple/"
ONE, TWO, THREE = f"{INDEX}one/", f"{INDEX}two/", f"{INDEX}three/"
FOUR = f"{INDEX}four/"
EVERY_PAGE = (ONE, TWO, THREE, FOUR)
ELSEWHERE = "https://files.example/x"


def waits(*answers: tuple[str, int, float], is_page: bool = True) -> Waits:
    """After these answers at the time 100: URL, status, seconds."""
    found = Waits()
    for url, status, seconds in answers:
        if status in {429, 503}:
            found.add(url, Wait(status, 100.0 + seconds), 100.0, is_page=is_page)
        else:
            found.note_answer(url)
    return found


@for_each(
    ("answers", "held"),
    [
        ([], set()),
        # RFC 6585: the client is too fast, whatever it asks for.
        ([(ONE, 429, 60)], {*EVERY_PAGE}),
        ([(ONE, 503, 60)], {ONE}),
        ([(ONE, 503, 60), (ONE, 503, 60)], {ONE}),
        # RFC 9110 section 15.6.4: the service, as soon as it is not about one page.
        ([(ONE, 503, 60), (TWO, 503, 60), (THREE, 503, 60)], {*EVERY_PAGE}),
        ([(ONE, 503, 60), (TWO, 503, 60)], {ONE, TWO}),
        ([(ONE, 503, 60), (TWO, 503, 60), (TWO, 503, 60), (ONE, 503, 60)], {ONE, TWO}),
        ([(ONE, 503, 0), (TWO, 503, 60), (THREE, 503, 60)], {TWO, THREE}),
        # Another index in front of which we are says so of each page that it cannot answer for now.
        ([(page, 503, 29) for page in EVERY_PAGE[:3]], {ONE, TWO, THREE}),
        ([(ONE, 503, 60), (TWO, 503, 60), (THREE, 503, 29)], {ONE, TWO, THREE}),
        # A page that is answered in between shows that the server is not down.
        ([(ONE, 503, 60), (TWO, 503, 60), (FOUR, 200, 0), (THREE, 503, 60)], {ONE, TWO, THREE}),
        ([(ONE, 503, 60), (TWO, 503, 60), (FOUR, 404, 0), (THREE, 503, 60)], {ONE, TWO, THREE}),
        ([(ONE, 503, 60), (TWO, 503, 60), (ELSEWHERE, 200, 0), (THREE, 503, 60)], {*EVERY_PAGE}),
        ([(ONE, 503, 60), (TWO, 503, 60), (ELSEWHERE, 503, 60)], {ONE, TWO, ELSEWHERE}),
        ([(ELSEWHERE, 429, 60)], {ELSEWHERE}),
    ],
)
def test_what_is_held(answers: list[tuple[str, int, float]], held: set[str]) -> None:
    """Until its time is over, and not longer."""
    found = waits(*answers)
    everything = (*EVERY_PAGE, ELSEWHERE)
    assert {url for url in everything if found.find(url, 101.0) is not None} == held
    assert {url for url in everything if found.find(url, 160.0) is not None} == set()


def test_files_do_not_hold_pages() -> None:
    """Files that are not ready say nothing of the index."""
    found = waits((ONE, 503, 60), (TWO, 503, 60), (THREE, 503, 60), is_page=False)
    assert [found.find(url, 101.0) is not None for url in EVERY_PAGE] == [True, True, True, False]


def test_what_was_long_ago_is_no_evidence() -> None:
    """Two pages have had their time; a third one that says so now is alone."""
    found = waits((ONE, 503, 60), (TWO, 503, 60))
    found.add(THREE, Wait(503, 300.0), 200.0, is_page=True)
    assert [found.find(url, 201.0) is not None for url in EVERY_PAGE] == [False, False, True, False]


def test_the_longest_wait_counts() -> None:
    """A later answer that says less was sent by somebody who knew less."""
    found = waits((ONE, 429, 600), (TWO, 429, 1))
    wait = found.find(THREE, 130.5)
    assert wait is not None
    assert (wait.status, wait.seconds(130.5)) == (429, 570)


def test_it_is_bounded() -> None:
    """The oldest are forgotten."""
    found = waits(*((f"https://h{number}.example/", 429, 60) for number in range(1500)))
    assert found.find("https://h0.example/", 101.0) is None
    assert found.find("https://h1499.example/", 101.0) is not None
