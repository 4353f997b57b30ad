"""``python endless.py SECONDS ARGUMENTS``: twistd where some files are endless to examine, and some threads endless to wait for.

A file whose name begins with ``endless`` keeps the process that examines it computing, for which it has so many seconds. A
project called ``stuck`` keeps the thread that looks at it computing in C.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

if __name__ != "__main__":
    # In a process that examines files.
    from simpleindex.archives.examination.judgements import JUDGEMENTS as REAL

    def _distribution(file: BinaryIO, filename: str, project: str | None) -> Any:
        while filename.startswith("endless"):
            pass
        return REAL["distribution"](file, filename, project)

    JUDGEMENTS: Final[Mapping[str, Callable[..., Any]]] = {**REAL, "distribution": _distribution}


def _main() -> None:
    from twisted.scripts.twistd import run

    from simpleindex.archives.examination.limits import ExaminationLimits
    from simpleindex.archives.examination.pool import ExaminationPool
    from simpleindex.archives.examination.process import default_program
    from simpleindex.directory.layout.package_directory import PackageDirectory
    from simpleindex.service import ending, runtime
    from simpleindex.system.threads import core_count

    # A busy machine takes longer than ten seconds to end; a server that joins its threads takes for ever.
    setattr(ending, "_FORCE_SECONDS", 120.0)  # noqa: B010 (it is a constant)
    seconds, *arguments = sys.argv[1:]
    program = default_program()
    here = str(Path(__file__).parent)
    program = replace(program, module=Path(__file__).stem, paths=(*program.paths, here))
    limits = ExaminationLimits(cpu_seconds=int(seconds), batch_seconds=1)

    def open_examination() -> ExaminationPool:
        return ExaminationPool(program, limits, core_count())

    setattr(runtime, "open_examination", open_examination)  # noqa: B010 (it is not exported)
    look = PackageDirectory.look

    def look_or_compute(self: PackageDirectory, directories: Any, loose: Any) -> Any:
        if "stuck" in directories:
            # Without the lock that lets other threads run, and for longer than any test.
            hashlib.pbkdf2_hmac("sha256", b"", b"", (1 << 31) - 1)
        return look(self, directories, loose)

    PackageDirectory.look = look_or_compute  # type: ignore[method-assign]
    sys.argv[1:] = arguments
    run()


if __name__ == "__main__":
    _main()
