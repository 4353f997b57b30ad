"""How changes are noticed: the file system below the root, and the decision."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.directory.watch.method import WatchMethod, WatchMode, choose_watch_method, network_filesystem
from tests.fixtures.tables import for_each


def mountinfo(*mounts: tuple[int, int, str, str], optional: str = "shared:1 ") -> str:
    """The text of /proc/self/mountinfo for (number, parent, mount point, type)."""
    return "".join(
        f"{number} {parent} 0:{number} / {point} rw,relatime {optional}- {kind} source rw\n"
        for number, parent, point, kind in mounts
    )


ORDINARY = mountinfo(
    (21, 27, "/proc", "proc"),
    (27, 1, "/", "ext4"),
    (40, 27, "/srv", "xfs"),
    (41, 40, "/srv/packages", "nfs4"),
    (42, 41, "/srv/packages/local", "ext4"),
    (43, 27, "/mnt/with\\040space\\134", "cifs"),
    (44, 27, "/home/me/sshfs", "fuse.sshfs"),
    (45, 27, "/mnt/ntfs", "fuseblk"),
)


@for_each(
    ("root", "filesystem"),
    [
        ("/", None),
        ("/srv", None),
        ("/srv/packages", "nfs4"),
        ("/srv/packages/deep/er", "nfs4"),
        ("/srv/packages/local/x", None),
        ("/srv/packages-of-another-name", None),
        ("/mnt/with space\\/a", "cifs"),
        ("/home/me/sshfs", "fuse.sshfs"),
        ("/mnt/ntfs/packages", None),
    ],
)
def test_the_innermost_mount_decides(root: str, filesystem: str | None) -> None:
    """The mount point that is the longest prefix by whole names counts, with its escapes decoded."""
    assert network_filesystem(root, ORDINARY) == filesystem


@for_each(
    ("kind", "trusted"),
    [
        *(
            (kind, False)
            for kind in ("nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "vboxsf", "afs", "ceph")
        ),
        *((kind, False) for kind in ("glusterfs", "lustre", "fuse", "fuse.s3fs", "fuse.glusterfs", "ocfs2")),
        *((kind, True) for kind in ("ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk", "nfsd")),
    ],
)
@for_each("optional", ["", "shared:1 ", "shared:1 master:2 "])
def test_only_file_systems_changed_from_elsewhere_are_not_trusted(
    kind: str, trusted: bool, optional: str
) -> None:
    """The type is found behind any number of optional fields and judged."""
    assert network_filesystem("/srv", mountinfo((27, 1, "/", kind), optional=optional)) == (
        None if trusted else kind
    )


@pytest.mark.parametrize(
    ("mounts", "filesystem"),
    [
        # Two mounts in one place.
        ([(27, 1, "/", "ext4"), (30, 27, "/srv", "ext4"), (31, 30, "/srv", "nfs")], "nfs"),
        ([(27, 1, "/", "ext4"), (30, 27, "/srv", "nfs"), (31, 30, "/srv", "ext4")], None),
        # The same where both hang on the mount below, as moved mounts do.
        ([(27, 1, "/", "ext4"), (30, 27, "/srv", "ext4"), (31, 27, "/srv", "nfs")], "nfs"),
        # A disk mounted over the directory that holds a mount point: that mount is out of reach.
        ([(27, 1, "/", "ext4"), (30, 27, "/srv/pkg", "nfs"), (31, 27, "/srv", "ext4")], None),
        # The initial file system of a machine hangs on itself, and the real root on it.
        ([(1, 1, "/", "rootfs"), (30, 27, "/srv", "nfs"), (27, 1, "/", "ext4")], "nfs"),
        # In a changed root there may be no mount for "/".
        ([(30, 27, "/srv", "nfs")], "nfs"),
        ([(30, 27, "/opt", "nfs")], None),
    ],
)
def test_a_mount_hides_what_is_below_it(
    mounts: list[tuple[int, int, str, str]], filesystem: str | None
) -> None:
    """Later mounts lie over earlier ones, also over those with a longer mount point."""
    assert network_filesystem("/srv/pkg", mountinfo(*mounts)) == filesystem


@given(
    st.text()
    | st.lists(st.tuples(*[st.integers(0, 3)] * 2, st.sampled_from(["/", "/srv"]), st.text())).map(
        lambda mounts: mountinfo(*mounts)
    )
)
def test_any_text_gets_an_answer(text: str) -> None:
    """Without /proc there is no text, and a strange kernel's may hold anything, even circles."""
    assert network_filesystem("/srv", "") is None
    network_filesystem("/srv", text)


@pytest.mark.parametrize(
    ("mode", "filesystem", "unavailable", "expected"),
    [
        (
            "off",
            "nfs",
            "No.",
            WatchMethod("off", "Not watching: what is changed by hand is seen after a restart."),
        ),
        ("poll", None, None, WatchMethod("poll", "Looking for changes every 2.5 s.")),
        ("auto", None, None, WatchMethod("inotify", "Waiting for the file system's events (inotify).")),
        ("inotify", None, None, WatchMethod("inotify", "Waiting for the file system's events (inotify).")),
        (
            "auto",
            "nfs4",
            None,
            WatchMethod(
                "poll",
                "The directory lies on nfs4, where changes made elsewhere make no event: looking for changes every 2.5 s.",
            ),
        ),
        (
            "inotify",
            "nfs4",
            None,
            WatchMethod(
                "inotify",
                "Waiting for the file system's events as configured, but nfs4 makes none for changes made elsewhere:"
                " those are missed.",
            ),
        ),
        (
            "auto",
            None,
            "No inotify.",
            WatchMethod("poll", "No inotify. Looking for changes every 2.5 s instead."),
        ),
        (
            "inotify",
            None,
            "No inotify.",
            WatchMethod("poll", "No inotify. Looking for changes every 2.5 s instead."),
        ),
    ],
)
def test_the_choice(
    mode: WatchMode, filesystem: str | None, unavailable: str | None, expected: WatchMethod
) -> None:
    """Events where they can be had and trusted or are insisted on, else polling; and the log says why."""
    assert choose_watch_method(mode, interval=2.5, filesystem=filesystem, unavailable=unavailable) == expected
