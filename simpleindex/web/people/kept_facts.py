"""Facts that a page shows to one reader, kept for a few seconds: to find them out means to ask about many projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

from simpleindex.core.caches import TimedCache

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from simpleindex.core.model import ProjectList
    from simpleindex.web.people.page_request import PageRequest

KEPT_SECONDS: Final = 5.0
"""Seconds for which facts are shown again, while the list of projects stays the same."""

Facts = TypeVar("Facts")


class KeptFacts(Generic[Facts]):
    """Facts about a view, as each of its readers may see them.

    They are found again when the reader's list of projects is another: where a project appeared or vanished, or where rights
    changed, so that nobody is shown what is hidden by now.

    Args:
        most: How many are kept at most.
        seconds: A clock that is never set back.
    """

    def __init__(self, most: int, seconds: Callable[[], float]) -> None:
        self._kept: TimedCache[Hashable, tuple[ProjectList, Facts]] = TimedCache(most, KEPT_SECONDS, seconds)

    async def get(
        self,
        request: PageRequest,
        listed: ProjectList,
        subject: Hashable,
        find: Callable[[], Awaitable[Facts]],
    ) -> Facts:
        """Return the facts about a subject.

        Args:
            request: The reader's; facts of another reader or view are not these.
            listed: The reader's list of projects.
            subject: What the facts are about.
            find: Finds them.
        """
        key = (subject, request.view, request.reader.user, request.reader.token)
        kept = self._kept.get(key)
        if kept is not None and kept[0] is listed:
            return kept[1]
        facts = await find()
        self._kept.put(key, (listed, facts))
        return facts
