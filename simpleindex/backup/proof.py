"""Prove that a backup can be restored: restore it to a temporary directory, and start a server from that. Blocking."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

from simpleindex.access.identity import Action
from simpleindex.access.token_options import TokenOptions
from simpleindex.backup.checking import CheckedBackup, Steps
from simpleindex.backup.destination import PROVING
from simpleindex.backup.elsewhere import options_elsewhere
from simpleindex.backup.errors import CannotRestore
from simpleindex.backup.manifest import BackupItem, ItemKind
from simpleindex.backup.places import PACKAGES, SOURCES, STATE, is_of_packages
from simpleindex.backup.plan import plan_restore
from simpleindex.backup.restoring import RestoreRequest, restore_backup, write_options
from simpleindex.backup.trial_server import NoAnswer, TrialServer
from simpleindex.core.errors import InvalidFilename, SimpleIndexError
from simpleindex.core.names import parse_distribution_name
from simpleindex.core.text import plural, printable
from simpleindex.records.database import RECORDS_FILENAME, RecordsDatabase
from simpleindex.records.tokens import TokenTable
from simpleindex.system.followed_file import read_text_file
from simpleindex.views.sources_file import parse_sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simpleindex.backup.manifest import Manifest
    from simpleindex.backup.plan import RestorePlan

_KEPT: Final = ("path", "state", "certs", "cache", "users", "access", "sources")
"""Options of the server that is started; all others would reach out of it: ports, ACME, hooks, logs."""

_SAMPLE: Final = 5
_TOKEN_SECONDS: Final = 3600


@dataclass(slots=True)
class BackupProof:
    """The outcome of proving a backup.

    Attributes:
        tell: Called with each sentence about what is good, and about what comes next, as it is known.
        facts: Sentences about what is good.
        faults: Sentences about what is not.
    """

    tell: Callable[[str], object]
    facts: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def add(self, fact: str) -> None:
        """Add a sentence about what is good."""
        self.facts.append(fact)
        self.tell(fact)


def prove_backup(path: str, manifest: Manifest, steps: Steps, tell: Callable[[str], object]) -> BackupProof:
    """Read every file of a backup, restore it to a temporary directory, and start a server from that.

    Args:
        path: The directory of the backup.
        manifest: Its manifest.
        steps: Show the progress of reading.
        tell: Called with each sentence about what is good, and about what comes next, as it is known.

    Raises:
        KeyboardInterrupt: It was stopped; nothing is left of it.
    """
    proof = BackupProof(tell)
    stored = sum(1 for _ in manifest.stored_files())
    steps.expect(stored)
    checked = CheckedBackup(path, manifest, steps.advance)
    if checked.faults:
        proof.faults += checked.faults[:10]
        if len(checked.faults) > 10:
            proof.faults.append(f"So are {len(checked.faults) - 10:,} more files.")
        return proof
    proof.add(f"{plural(checked.files, 'file')} with the sizes and digests of the manifest.")
    with _temporary_directory(os.path.dirname(path)) as place:
        try:
            _prove_in(place, RestoreRequest(path, manifest, plan_restore(manifest, place), links=True), proof)
        except (NoAnswer, SimpleIndexError) as error:
            proof.faults.append(str(error))
        except (OSError, sqlite3.Error) as error:
            proof.faults.append(f"The restored server cannot be tried: {error}.")
    return proof


@contextmanager
def _temporary_directory(beside: str) -> Iterator[str]:
    """Make a directory, beside the backup if that can be written: there its packages can be linked."""
    try:
        place = tempfile.mkdtemp(prefix=PROVING, dir=beside)
    except OSError:
        place = tempfile.mkdtemp(prefix="simpleindex-proving-")
    try:
        yield os.path.realpath(place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _prove_in(place: str, request: RestoreRequest, proof: BackupProof) -> None:
    manifest = request.manifest
    restore_backup(request, Steps(lambda _: None, lambda: None))
    state = _state_of(manifest, request.plan)
    secret = _prove_records(state, proof)
    options = _trial_options(manifest, request.plan, place)
    configuration = os.path.join(place, "trial.toml")
    write_options(configuration, options)
    files = [item for item in manifest.stored_files() if is_of_packages(item.part)]
    proof.tell(f"A server is started from it, and reads {plural(len(files), 'package file')} first.")
    patience = 60 + len(files) / 200 + sum(item.size for item in files) / 20e6
    has_tls = "https" in manifest.options
    with TrialServer(configuration, place, _environment(request), is_tls=has_tls) as server:
        begun = time.monotonic()
        server.wait_until_ready(patience)
        proof.add(
            f"A server that was started from it was ready after {time.monotonic() - begun:.1f} seconds"
            f"{', with its certificate' if has_tls else ''}."
        )
        if secret is not None and {"users", "access"} & options.keys():
            server.token = secret
            _prove_login(server, proof)
        _prove_files(server, files, proof)


def _state_of(manifest: Manifest, plan: RestorePlan) -> str:
    part = manifest.part(STATE)
    if part is None:
        raise CannotRestore("The backup has no state.")
    return plan.target(part.path)


def _prove_records(state: str, proof: BackupProof) -> str | None:
    """Read the records, and make a token in the restored ones; return its secret, or None if there are no records."""
    if not os.path.exists(os.path.join(state, RECORDS_FILENAME)):
        proof.add("There are no records: no token was ever made, and no file uploaded.")
        return None
    database = RecordsDatabase(state, initialized=True)
    try:
        tokens = TokenTable(database)
        number = len(tokens.all())
        ((owners,),) = database.read("SELECT count(*) FROM owners", ())
        now = time.time()
        options = TokenOptions((Action.READ,), ("*",), int(now) + _TOKEN_SECONDS, "proof of a backup")
        _, secret = tokens.create(None, options, now)
    finally:
        database.close()
    proof.add(
        f"The records can be read and written: {plural(number, 'token')}, {plural(owners, 'project')} with an owner."
    )
    return secret


def _trial_options(manifest: Manifest, plan: RestorePlan, place: str) -> dict[str, tuple[str, ...]]:
    """Return options with which the restored server reaches nothing but its own directories."""
    options = {name: texts for name, texts in options_elsewhere(manifest, plan).items() if name in _KEPT}
    packages = manifest.part(PACKAGES)
    if packages is None or not packages.is_stored:
        empty = os.path.join(place, "no-packages")
        os.mkdir(empty)
        options["path"] = (empty,)
    return {**options, "watch": ("off",)}


def _environment(request: RestoreRequest) -> dict[str, str]:
    """Return the environment of the restored server: with a login for each upstream that takes one from there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SIMPLEINDEX_")}
    sources = request.manifest.part(SOURCES)
    if sources is not None:
        content = read_text_file(request.plan.target(sources.path))
        for upstream in parse_sources(content).upstreams:
            if upstream.credentials is not None and upstream.credentials[0] == "env":
                environment.setdefault(upstream.credentials[1], "nobody:nothing")
    return environment


def _prove_login(server: TrialServer, proof: BackupProof) -> None:
    answer = server.get_json("-/api/whoami")
    if isinstance(answer, dict) and answer.get("token"):
        proof.add("A token that was made in the restored records can log in.")
    else:
        proof.faults.append("A token that was made in the restored records cannot log in.")


def _prove_files(server: TrialServer, files: list[BackupItem], proof: BackupProof) -> None:
    """Fetch a sample of the package files by their pages, and compare their digests."""
    served = [item for item in files if _project_of(item) is not None]
    if not served:
        return
    sample = served[:: max(len(served) // _SAMPLE, 1)][:_SAMPLE]
    good, other = [], []
    for item in sample:
        sentence = _compare(server, item)
        if sentence is None:
            good.append(item.path)
        else:
            other.append(sentence)
    if not good:
        proof.faults += other
        return
    proof.add(
        f"{plural(len(good), 'file')} of a sample of {len(sample)} came from the server with the digest of the manifest, "
        f"such as {printable(good[0])}."
    )
    for sentence in other:
        proof.add(sentence)


def _compare(server: TrialServer, item: BackupItem) -> str | None:
    """Fetch one file; return a sentence if it is not offered, or None if it is the file of the manifest."""
    filename = os.path.basename(item.path)
    page = f"simple/{_project_of(item)}/"
    listing = server.get_json(page)
    files = listing.get("files", []) if isinstance(listing, dict) else []
    for file in files:
        if file.get("filename") == filename:
            body = server.get(urljoin(page, file["url"]))
            if hashlib.sha256(body).hexdigest() == item.sha256:
                return None
            raise CannotRestore(f"The server sent {printable(item.path)} with another digest.")
    return f"{printable(item.path)} is not offered by the restored server; a rule, a right or a status can be the reason."


def _project_of(item: BackupItem) -> str | None:
    """Return the project of a package file at a place where files are served."""
    directory, _, filename = item.path.rpartition("/")
    if (
        item.kind is not ItemKind.FILE
        or item.part != PACKAGES
        or "/" in directory
        or directory.startswith(".")
    ):
        return None
    try:
        return parse_distribution_name(filename).project
    except InvalidFilename:
        return None
