"""Read the bytes of a project's ``simpleindex.toml``, within bounds and through no link. Blocking."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from simpleindex.core.names import PROJECT_FILE
from simpleindex.directory.layout.served_root import OPEN_FLAGS
from simpleindex.directory.project_file import MAXIMUM_SIZE
from simpleindex.system.errors import raise_if_short
from simpleindex.system.stamp import Stamp

if TYPE_CHECKING:
    from simpleindex.directory.layout.served_root import ServedRoot


def read_project_file(
    root: ServedRoot, directories: list[str], stamps: dict[str, Stamp]
) -> tuple[bytes | None, str | None]:
    """Return the bytes of a project's file, or why there are none, as the end of a sentence; neither where there is no such file.

    Args:
        root: Where the directories are.
        directories: Those of the project that have such a file, the normalized one first.
        stamps: Gets the state of the file.

    Raises:
        OSError: This process is short of descriptors or memory.
    """
    if not directories:
        return None, None
    # The normalized directory's comes first; a second one would be a second opinion.
    path = f"{directories[0]}/{PROJECT_FILE}"
    if len(directories) > 1:
        return None, f"lies in {' and '.join(directories)}; keep one of them"
    try:
        descriptor = os.open(os.path.join(root.root, path), OPEN_FLAGS | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None, None
    except OSError as error:
        raise_if_short(error)
        # A chmod can mend it and leaves the directory's state alone.
        if (stamp := root.stamp(path)) is not None:
            stamps[path] = stamp
        return None, "is a link" if error.errno == errno.ELOOP else f"cannot be read: {error.strerror}"
    try:
        status = os.fstat(descriptor)
        stamps[path] = Stamp.of(status)
        if not stat.S_ISREG(status.st_mode):
            return None, "is not a regular file"
        content = os.read(descriptor, MAXIMUM_SIZE + 1)
        if len(content) > MAXIMUM_SIZE:
            return None, f"is larger than {MAXIMUM_SIZE // 1024} KiB"
        return content, None
    except OSError as error:
        raise_if_short(error)
        return None, f"cannot be read: {error.strerror}"
    finally:
        os.close(descriptor)
