"""Apply the rules of the sources file to files of a source, for commands that work on the cache."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from simpleindex.policy.lists import NameLists
from simpleindex.records.allowances import AllowanceTable
from simpleindex.records.opening import open_records
from simpleindex.views.live_sources_file import LiveSourcesFile

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from simpleindex.config.settings import Settings
    from simpleindex.core.model import Project


def reasons_against(
    settings: Settings, source: str, project: Project, filenames: Collection[str]
) -> Sequence[str]:
    """Return why rules withhold files now, as sentences.

    Args:
        settings: Name the sources file and the records of allowances.
        source: The name of the source.
        project: As the source offers it.
        filenames: The files that are meant.
    """
    if settings.sources is None:
        return ()
    database = open_records(str(settings.state), settings.records, is_logged=False)
    try:
        lists = NameLists(str(settings.sources.parent))
        policies = LiveSourcesFile(
            str(settings.sources), open_list=lists.open, allowances=AllowanceTable(database).active
        )
        policies.open()
        policy, now = policies.current(), time.time()
    finally:
        database.close()
    denial = policy.denial(project.name, source, now)
    if denial is not None:
        return (denial.sentence,)
    judged = policy.judge(project, source, now)
    return [item.reason for item in judged.withheld if item.filename in filenames]
