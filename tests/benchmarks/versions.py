"""Another version of simpleindex beside this one: the same classes of servers, started with another environment's twistd."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.benchmarks.servers import Simpleindex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.servers import Server
    from tests.benchmarks.setup import Workplace

BEFORE: Final = " before"
"""What follows a server's name in the version before."""

_VERSION: Final = """
import ssl, simpleindex, twisted
print(f"{simpleindex.__version__} (Twisted {twisted.__version__}, {ssl.OPENSSL_VERSION})")
"""


def with_before(kinds: Sequence[type[Server]], twistd: Path | None) -> list[type[Server]]:
    """Return the servers, each simpleindex followed by its version before, if there is one to compare with."""
    found: list[type[Server]] = []
    for kind in kinds:
        found.append(kind)
        if twistd is not None and issubclass(kind, Simpleindex):
            found.append(before(kind, twistd))
    return found


@functools.cache
def before(kind: type[Simpleindex], twistd: Path) -> type[Simpleindex]:
    """Return the class of a server that another environment's ``twistd`` starts; its cache is not shared with this version's."""
    program = str(twistd.absolute())

    def version(cls: type[Simpleindex], workplace: Workplace) -> str:
        # Isolated (-I): else the working directory's simpleindex is the one that is imported.
        command = [str(Path(program).with_name("python")), "-I", "-c", _VERSION]
        shown = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
        return f"{shown.strip()} of {program}"

    changes = {
        "name": f"{kind.name}{BEFORE}",
        "program": program,
        "family": f"{kind.family}{BEFORE}",
        "version": classmethod(version),
    }
    return type(f"{kind.__name__}Before", (kind,), changes)
