"""What is packed of a project's files comes out as it was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simpleindex.archives.archive_info import ArchiveInfo, MemberSpan
from simpleindex.core.files import File, Sidecar
from simpleindex.core.model import Withheld
from simpleindex.core.names import Kind
from simpleindex.directory.scan.scanned_files import NOTHING_KNOWN, ScannedFile, ScannedFiles
from simpleindex.system.stamp import Stamp

texts = st.text(st.characters(exclude_categories=(), exclude_characters="/"), max_size=20)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
numbers = st.integers(0, 2**64)
sdists = st.builds(ArchiveInfo, texts, digests, st.none() | texts, st.none(), st.none())
wheels = st.builds(
    ArchiveInfo,
    texts,
    digests,
    st.none() | texts,
    st.builds(Sidecar, digests, numbers),
    st.builds(MemberSpan, numbers, numbers, numbers),
)
withheld = st.builds(Withheld, texts, texts, texts, texts, st.none() | st.floats(0))
outcomes = sdists | wheels | digests | withheld
stamps = st.builds(Stamp, numbers, numbers, st.integers(-(2**80), 2**80), numbers, numbers)
items = st.builds(ScannedFile, st.none() | stamps, outcomes, st.booleans(), st.booleans(), st.booleans())
# One file name lies in one place at most among those that are listed.
several = st.dictionaries(
    st.builds("{}/{}".format, texts.filter(bool), texts) | texts, items, max_size=5
).filter(lambda known: len({path.rpartition("/")[2] for path in known}) == len(known))


def listed(known: dict[str, ScannedFile], paths: list[str]) -> tuple[dict[str, str], list[File]]:
    """These files as a catalogue lists them: where each lies, and what it is."""
    chosen = {}
    files = []
    for path in paths:
        stamp, outcome = known[path].stamp, known[path].outcome
        if stamp is not None and isinstance(outcome, ArchiveInfo):
            filename = path.rpartition("/")[2]
            chosen[filename] = path
            files.append(
                File(
                    filename,
                    outcome.version,
                    Kind.SDIST,
                    stamp.size,
                    outcome.sha256,
                    stamp.mtime_ns,
                    outcome.requires_python,
                    outcome.sidecar,
                )
            )
    return chosen, files


@given(several, st.data())
def test_what_was_packed_comes_out(known: dict[str, ScannedFile], data: st.DataObject) -> None:
    """Each file, which of them are withheld, and where the listed ones lie."""
    some = data.draw(st.lists(st.sampled_from(sorted(known)), unique=True) if known else st.just([]))
    chosen, files = listed(known, some)
    packed = ScannedFiles(known, chosen, files)
    assert packed == packed.unpacked() == known
    assert list(packed) == list(known)
    assert (len(packed), bool(packed)) == (len(known), bool(known))
    assert (packed.chosen, list(packed.files)) == (chosen, files)
    assert set(packed.withheld) == {path for path, one in known.items() if isinstance(one.outcome, Withheld)}
    assert all(type(packed[path].stamp) is type(one.stamp) for path, one in known.items())
    restored = ScannedFiles.restored(packed.packed, packed.files)
    assert (restored, restored.chosen) == (packed, chosen)


@given(several, several)
def test_newer_knowledge_wins(old: dict[str, ScannedFile], new: dict[str, ScannedFile]) -> None:
    """Also of what is listed."""
    chosen, files = listed(new, list(new))
    both = ScannedFiles(old, *listed(old, list(old))).updated(ScannedFiles(new, chosen, files))
    assert both == {**old, **new}
    assert (both.chosen, list(both.files)) == (chosen, files)
    assert NOTHING_KNOWN == {}
