"""The sources of the index after their composition: directories, upstreams, and the views of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Source
    from simpleindex.service.composition.directory import ServedDirectory
    from simpleindex.service.upstreams import Upstreams
    from simpleindex.views.explain import SourceNote


@dataclass(frozen=True)
class ComposedSources:
    """The sources.

    Attributes:
        directories: The served directories, that of ``--path`` first.
        views: The source of each view, with every rule applied.
        explain: Returns what each source of a view knows of a project.
        upstreams: The other indexes; None without a sources file.
        may_offer: Returns whether an upstream of a view may be requested for a name, as the operator configured it; none is by this.
    """

    directories: tuple[ServedDirectory, ...]
    views: Mapping[str, Source]
    explain: Callable[[str, ProjectName], Coroutine[Any, Any, tuple[SourceNote, ...]]]
    upstreams: Upstreams | None
    may_offer: Callable[[str, ProjectName], bool] = lambda *_: False

    @property
    def unlisted(self) -> Mapping[str, tuple[str, ...]]:
        """By view, the upstreams whose projects are not in its list."""
        return {} if self.upstreams is None else self.upstreams.unlisted
