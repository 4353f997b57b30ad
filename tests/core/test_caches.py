"""Values are kept within a total size, or for some seconds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.caches import SizedCache, TimedCache


def test_the_least_recently_used_goes_first() -> None:
    """Reading a value is a use."""
    cache: SizedCache[str, bytes] = SizedCache(3, len)
    for key in "abc":
        cache.put(key, b"1")
    assert cache.get("a") == b"1"
    cache.put("d", b"12")
    assert [cache.get(key) for key in "abcd"] == [b"1", None, None, b"12"]


def test_a_value_above_the_limit_is_not_kept() -> None:
    """Nor the one before it under its key, which is outdated; others stay."""
    cache: SizedCache[str, bytes] = SizedCache(3, len)
    cache.put("a", b"1")
    cache.put("b", b"1")
    cache.put("a", b"1234")
    assert (cache.get("a"), cache.get("b"), cache.size) == (None, b"1", 1)


def test_tells_what_is_dropped() -> None:
    """Replaced, taken out, or without room."""
    dropped: list[bytes] = []
    cache: SizedCache[str, bytes] = SizedCache(3, len, dropped.append)
    for value in (b"a", b"b", b"cc", b"dd"):
        cache.put(value.decode()[0], value)
    assert dropped == [b"a", b"b", b"cc"]
    cache.put("d", b"d")
    cache.put("e", b"e")
    cache.clear()
    assert (dropped[3:], cache.size) == ([b"dd", b"d", b"e"], 0)


@given(st.integers(0, 8), st.lists(st.tuples(st.sampled_from("abc"), st.binary(max_size=9))))
def test_is_bounded(limit: int, puts: list[tuple[str, bytes]]) -> None:
    """Whatever is put, the sizes are those of the values, and the last one is there if it fits."""
    cache: SizedCache[str, bytes] = SizedCache(limit, len)
    for key, value in puts:
        cache.put(key, value)
        assert cache.size == sum(len(cache.get(each) or b"") for each in "abc") <= limit
        assert (cache.get(key) or b"") == (value if len(value) <= limit else b"")


def test_a_value_is_kept_for_some_seconds() -> None:
    """From when it was put the last time; to read it does not make it younger."""
    now = 0.0
    cache: TimedCache[str, int] = TimedCache(10, 5.0, lambda: now)
    cache.put("a", 1)
    now = 4.0
    cache.put("b", 2)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, 2, None)
    now = 5.0
    assert (cache.get("a"), cache.get("b")) == (None, 2)
    cache.put("a", 3)
    now = 9.0
    assert (cache.get("a"), cache.get("b")) == (3, None)


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from((0.0, 1.0, 3.0))), max_size=30))
def test_no_more_values_are_held_than_may_be(puts: list[tuple[int, float]]) -> None:
    """Nor any that nobody gets any more, once another is put: they may hold much."""
    now = 0.0
    cache: TimedCache[int, float] = TimedCache(3, 2.0, lambda: now)
    put_at: dict[int, float] = {}
    for key, seconds in puts:
        now += seconds
        cache.put(key, now)
        put_at[key] = now
        held = cache._values
        assert len(held) <= 3
        assert all(now < end for end, _ in held.values())
        newest = sorted(put_at, key=lambda each: put_at[each])[-1:]
        assert all(cache.get(each) == put_at[each] for each in newest)
        assert all(cache.get(each) in (None, put_at[each]) for each in put_at)
