"""Each finding: the facts that lead to it, its severity, what it says, and the command that mends it."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from simpleindex.access.access_file import parse_access
from simpleindex.access.logins.htpasswd import Users
from simpleindex.core.files import File
from simpleindex.core.model import Project
from simpleindex.core.names import parse_distribution_name, parse_project_name
from simpleindex.diagnosis.accounts import AccountFiles, judge_accounts
from simpleindex.diagnosis.bucket import BucketFacts, judge_bucket
from simpleindex.diagnosis.certificates import CertificateFacts, ServedNames, judge_certificates
from simpleindex.diagnosis.configuration import USUAL_CONFIGURATION, ConfigurationFacts, judge_configuration
from simpleindex.diagnosis.databases import DatabaseFacts, RecordsFacts, judge_databases, judge_records
from simpleindex.diagnosis.digests import MetadataBeside, ReadAgain, find_changed_files, find_changed_metadata
from simpleindex.diagnosis.finding import Finding, Severity, exit_status, report_on
from simpleindex.diagnosis.machine import (
    Clock,
    DiskSpace,
    WatchLimits,
    judge_clock,
    judge_open_files,
    judge_space,
    judge_watches,
)
from simpleindex.diagnosis.packages import MOST_NAMED, DirectoryFacts, doubles_of, judge_directory
from simpleindex.diagnosis.permissions import (
    INTERPRETER,
    ForeignEntries,
    ServicePlace,
    ServiceUser,
    judge_permissions,
)
from simpleindex.diagnosis.rules import judge_rules
from simpleindex.diagnosis.server import ClientTrial, ServerFacts, judge_clients, judge_server, judge_unread
from simpleindex.diagnosis.upstreams import UpstreamProbe, judge_upstreams
from simpleindex.directory.layout.unserved import Unserved, UnservedCause
from simpleindex.system.path_steps import PathStep
from simpleindex.views.sources_file import parse_sources
from tests.fixtures.tables import for_each

if TYPE_CHECKING:
    from collections.abc import Iterable

NOW = datetime(2026, 11, 29, tzinfo=UTC)
USER = ServiceUser("index", 7, "www", frozenset({70}))
ROOT = PathStep("/", stat.S_IFDIR | 0o755, 0, 0)


def one(findings: Iterable[Finding], severity: Severity, words: str, remedy: str = "") -> None:
    """See that there is one finding, which says this."""
    (finding,) = findings
    assert finding.severity is severity, finding
    assert words in finding.sentence, finding
    assert finding.sentence[-1] in ".?", finding
    assert finding.remedy == remedy, finding


def way(mode: int, uid: int = 0, gid: int = 0, kind: int = stat.S_IFDIR) -> tuple[PathStep, ...]:
    return (ROOT, PathStep("/x y", kind | mode, uid, gid))


def test_reports() -> None:
    warning, error = Finding(Severity.WARNING, "b"), Finding(Severity.ERROR, "a")
    report = report_on("x", "", [warning, error, warning])
    assert report.findings == (error, warning)
    assert exit_status([report]) == 2
    assert exit_status([report_on("x", "", [warning])]) == 1
    assert exit_status([report_on("x", "", [Finding(Severity.HINT, "c")]), report_on("y", "")]) == 0


@for_each(
    ("place", "words", "remedy"),
    [
        (
            ServicePlace("--state", "/x y", way(0o755), is_written=True),
            "written to",
            "chown -R index: '/x y' && chmod u+rwx '/x y'",
        ),
        (ServicePlace("--path", "/x y", way(0o700)), "read", "chmod o+rx '/x y'"),
        (ServicePlace("--path", "/x y", way(0o300, 7)), "read", "chmod u+rx '/x y'"),
        (ServicePlace("--path", "/x y", way(0o700, 0, 70)), "read", "chmod g+rx '/x y'"),
        (
            ServicePlace("--users", "/x y", way(0o600, kind=stat.S_IFREG), is_secret=True),
            "read",
            "chgrp www '/x y' && chmod g+r '/x y'",
        ),
        (
            ServicePlace("--path", "/x y/z", (*way(0o700), PathStep("/x y/z", stat.S_IFDIR | 0o777, 7, 7))),
            "entered",
            "chmod o+x '/x y'",
        ),
        (ServicePlace("--path", "/gone", ()), "does not exist, which --path names", ""),
        (
            ServicePlace(INTERPRETER, "/x y", way(0o700)),
            "/x y cannot be read by index, the user of the service (the Python of the server).",
            "cd CLONE && /usr/bin/python3 -m venv /opt/simpleindex && /opt/simpleindex/bin/pip install .",
        ),
        (ServicePlace("--path", "/gone", (), is_written=True), "does not exist", "install -d -o index /gone"),
    ],
)
def test_places_that_the_service_cannot_use(place: ServicePlace, words: str, remedy: str) -> None:
    one(judge_permissions([place], (), USER), Severity.ERROR, words, remedy)


def test_places_as_they_should_be() -> None:
    places = [
        ServicePlace("--state", "/x y", way(0o700, 7), is_written=True, is_secret=True),
        ServicePlace("--cache", "/gone", (), is_written=True, is_required=False),
        ServicePlace("--path", "/x y", way(0o755)),
    ]
    assert list(judge_permissions(places, (), USER)) == []


def test_secrets_that_others_can_read() -> None:
    place = ServicePlace("--state", "/x y", way(0o755, 7), is_written=True, is_secret=True)
    one(
        judge_permissions([place], (), USER),
        Severity.WARNING,
        "every user of this machine",
        "chmod o= '/x y'",
    )


def test_entries_that_the_service_cannot_use() -> None:
    written = ForeignEntries("/state", 2, "/state/a", is_written=True)
    one(
        judge_permissions((), [written], USER),
        Severity.ERROR,
        "2 entries below /state cannot be written",
        "chown -R index: /state",
    )
    read = ForeignEntries("/p", 1, "/p/a", is_written=False)
    one(
        judge_permissions((), [read], USER),
        Severity.ERROR,
        "1 entry below /p cannot be read",
        "chmod -R a+rX /p",
    )


def test_one_remedy_for_what_has_one_cause() -> None:
    closed = way(0o700)
    inside = (*closed, PathStep("/x y/a.pem", stat.S_IFREG | 0o600, 0, 0))
    places = [
        ServicePlace("--certs", "/x y", closed),
        ServicePlace("--certs", "/x y/a.pem", inside, is_secret=True),
    ]
    one(
        judge_permissions(places, (), USER),
        Severity.ERROR,
        "/x y cannot be read by index",
        "chmod o+rx '/x y'",
    )
    state = ServicePlace("--state", "/x y", closed, is_written=True)
    entries = ForeignEntries("/x y", 9, "/x y/audit.jsonl", is_written=True)
    one(
        judge_permissions([state], [entries], USER),
        Severity.ERROR,
        "written to",
        "chown -R index: '/x y' && chmod u+rwx '/x y'",
    )


def test_disks() -> None:
    full = DiskSpace("path", "/srv", 1 << 20, 1 << 40, 10_000)
    one(judge_space([full], takes_uploads=True), Severity.ERROR, "no upload is taken", "simpleindex purge")
    one(
        judge_space([full, replace(full, option="state")], takes_uploads=False),
        Severity.ERROR,
        "nothing can be written",
        "simpleindex purge",
    )
    little = replace(full, option="cache", path="/c d", free=100 << 20, free_inodes=None)
    one(
        judge_space([little], takes_uploads=True),
        Severity.WARNING,
        "only 100.0 MiB of",
        "du -xh -d 2 '/c d' | sort -h",
    )
    one(
        judge_space([replace(full, free=1 << 39, free_inodes=9)], takes_uploads=True),
        Severity.ERROR,
        "only 9 more files",
        "simpleindex purge",
    )
    assert list(judge_space([replace(full, free=1 << 39)], takes_uploads=True)) == []


def test_watches() -> None:
    remedy = "echo fs.inotify.max_user_watches=524288 > /etc/sysctl.d/60-simpleindex.conf && sysctl -q fs.inotify.max_user_watches=524288"
    one(judge_watches(WatchLimits(9_000, 8_192)), Severity.WARNING, "8,192 directories", remedy)
    assert list(judge_watches(WatchLimits(7_000, 8_192))) == []
    assert list(judge_watches(WatchLimits(7_000, None))) == []


def test_open_files() -> None:
    one(
        judge_open_files(256),
        Severity.WARNING,
        "only 256 files",
        "systemctl edit simpleindex    # [Service] LimitNOFILE=65536",
    )
    assert list(judge_open_files(1024)) == []


def test_clock() -> None:
    ntp = "timedatectl set-ntp true"
    one(judge_clock(Clock(1000.0, (9_000.0, "/state/a"))), Severity.ERROR, "from now", ntp)
    one(
        judge_clock(Clock(1000.0, offsets=(("pypi", 3_600.0),))),
        Severity.ERROR,
        "1 hour behind that of the upstream pypi",
        ntp,
    )
    one(judge_clock(Clock(1000.0, offsets=(("pypi", -3_600.0),))), Severity.ERROR, "ahead of that of", ntp)
    # One of two is wrong itself.
    assert list(judge_clock(Clock(1000.0, (1_001.0, "/a"), (("pypi", 1.0), ("odd", 3_600.0))))) == []


CERTIFICATE = CertificateFacts(
    "/certs/a.pem", "/certs/a.pem", ("a.example", "*.b.example"), "operator", NOW + timedelta(days=90), None
)


@pytest.mark.parametrize(
    ("change", "severity", "words", "remedy"),
    [
        (
            {"problem": "/certs/a.pem has expired."},
            Severity.ERROR,
            "expired",
            "cp NEW-CHAIN-AND-KEY.pem /certs/a.pem",
        ),
        (
            {"problem": "It has expired.", "real_path": "/etc/letsencrypt/archive/a.pem"},
            Severity.ERROR,
            "expired",
            "certbot renew",
        ),
        (
            {"problem": "It has expired.", "origin": "private-ca"},
            Severity.ERROR,
            "expired",
            "systemctl restart simpleindex",
        ),
        ({"problem": "It has expired.", "origin": "authority"}, Severity.ERROR, "expired", "rm /certs/a.pem"),
        ({"problem": "Gone.", "origin": "former-private-ca"}, Severity.ERROR, "Gone", "rm /certs/a.pem"),
        (
            {"expires": NOW + timedelta(days=3)},
            Severity.WARNING,
            "ends in 3 days, on 2026-12-02",
            "cp NEW-CHAIN-AND-KEY.pem /certs/a.pem",
        ),
        (
            {"names": ("c.example",)},
            Severity.ERROR,
            "No certificate is for a.example",
            "simpleindex certificates",
        ),
        (
            {"names": ("c.example",), "origin": "private-ca"},
            Severity.ERROR,
            "No certificate",
            "systemctl restart simpleindex",
        ),
    ],
)
def test_certificates(change: dict[str, object], severity: Severity, words: str, remedy: str) -> None:
    certificate = replace(CERTIFICATE, **change)  # type: ignore[arg-type]
    one(judge_certificates([certificate], ServedNames("a.example"), NOW), severity, words, remedy)


def test_certificates_as_they_should_be() -> None:
    for host in (None, "a.example", "A.Example.", "x.b.example"):
        assert list(judge_certificates([CERTIFICATE], ServedNames(host), NOW)) == []
    of_authority = replace(CERTIFICATE, origin="authority", expires=NOW + timedelta(days=3))
    assert list(judge_certificates([of_authority], ServedNames(None, is_acme=True), NOW)) == []
    assert list(judge_certificates([], ServedNames("a.example"), NOW)) == []


def test_a_certificate_beside_one_that_can_be_served() -> None:
    broken = replace(CERTIFICATE, problem="/certs/b.pem has no key.")
    one(
        judge_certificates([CERTIFICATE, broken], ServedNames(None), NOW),
        Severity.WARNING,
        "no key",
        "cp NEW-CHAIN-AND-KEY.pem /certs/a.pem",
    )


@pytest.mark.parametrize(
    ("certificates", "severity"), [([], Severity.ERROR), ([CERTIFICATE], Severity.WARNING)]
)
def test_a_failed_request_for_a_certificate(certificates: list[CertificateFacts], severity: Severity) -> None:
    served = ServedNames(None, is_acme=True, last_error="Port 80 is closed.")
    one(
        judge_certificates(certificates, served, NOW),
        severity,
        "Port 80 is closed.",
        "simpleindex certificates",
    )


def test_databases() -> None:
    damaged = "database disk image is malformed"
    one(
        judge_databases([DatabaseFacts("/s/records.sqlite3", is_cache=False, damage=damaged)]),
        Severity.ERROR,
        "tokens",
        "simpleindex restore --force BACKUP",
    )
    one(
        judge_databases([DatabaseFacts("/s/downloads.sqlite3", is_cache=False, damage=damaged)]),
        Severity.ERROR,
        "anew",
        "mv /s/downloads.sqlite3 /s/downloads.sqlite3.damaged",
    )
    one(
        judge_databases([DatabaseFacts("/c/x.sqlite3", is_cache=True, damage=damaged)]),
        Severity.WARNING,
        "made anew",
        "rm -f /c/x.sqlite3 /c/x.sqlite3-wal /c/x.sqlite3-shm",
    )
    assert list(judge_databases([DatabaseFacts("/c/x.sqlite3", is_cache=True)])) == []


def test_records() -> None:
    one(
        judge_records(RecordsFacts(is_lost=True, state="/s")),
        Severity.ERROR,
        "/s/records.sqlite3 is empty or gone",
        "simpleindex restore --force BACKUP",
    )
    one(
        judge_records(RecordsFacts(is_lost=False, state="/s", refusal="connection refused.")),
        Severity.ERROR,
        "connection refused",
    )
    assert list(judge_records(RecordsFacts(is_lost=False, state="/s"))) == []


def test_packages() -> None:
    facts = DirectoryFacts("/p", withheld=[("acme", "acme-1.0.zip", "archive", "acme-1.0.zip is cut off.")])
    one(
        judge_directory(facts),
        Severity.WARNING,
        "Not offered: acme-1.0.zip is cut off.",
        "simpleindex delete acme acme-1.0.zip",
    )
    facts = DirectoryFacts("/p", withheld=[("", "a b.zip", "name", "a b.zip has a blank.")])
    one(judge_directory(facts), Severity.WARNING, "blank", "rm '/p/a b.zip'")
    facts = DirectoryFacts("/p", withheld=[("acme", "", "trouble", "acme cannot be answered for.")])
    one(judge_directory(facts), Severity.WARNING, "answered for")
    many = DirectoryFacts(
        "/p", withheld=[("acme", f"{n}.zip", "archive", f"{n}.") for n in range(MOST_NAMED + 2)]
    )
    *_, last = judge_directory(many)
    assert (last.sentence, last.remedy) == ("Not offered, too: 2 more files in /p.", "simpleindex check")
    one(
        judge_directory(DirectoryFacts("/p", passed_over=[Unserved(UnservedCause.CAPITALS, 1, "A.WHL")])),
        Severity.WARNING,
        "capitals",
    )
    one(
        judge_directory(DirectoryFacts("/p", taken="acme: requested from no upstream.")),
        Severity.HINT,
        "no upstream",
    )
    one(judge_directory(DirectoryFacts("/p", trouble="/p cannot be read.")), Severity.ERROR, "/p cannot")


def test_projects_in_several_directories() -> None:
    name = parse_project_name("acme-lib")
    facts = DirectoryFacts("/p q/", spellings={name: ("acme-lib", "Acme_Lib")})
    remedy = "mv -n '/p q/Acme_Lib'/* '/p q/acme-lib'/ && rmdir '/p q/Acme_Lib'"
    one(judge_directory(facts), Severity.HINT, "several directories of /p q/: acme-lib, Acme_Lib.", remedy)
    many = {parse_project_name(f"p{n}"): (f"p{n}", f"P{n}") for n in range(MOST_NAMED + 1)}
    *_, last = judge_directory(DirectoryFacts("/p", spellings=many))
    assert last.sentence == "In several directories, too: 1 more project."


def test_one_distribution_in_several_spellings() -> None:
    name = parse_project_name("acme-lib")
    filenames = (
        *("Acme_Lib-1.0-py3-none-any.whl", "acme_lib-1.0-py3-none-any.whl", "acme.lib-1.0-py3-none-any.whl"),
        *("acme_lib-1.0-py2.py3-none-any.whl", "acme_lib-1.0.tar.gz", "acme_lib-1.0.zip"),
    )
    files = [File(each, "1.0", parse_distribution_name(each, name).kind, 1, None, None) for each in filenames]
    facts = DirectoryFacts("/p", doubles=doubles_of([Project(name, files)]))
    words = "acme.lib-1.0-py3-none-any.whl, acme_lib-1.0-py3-none-any.whl, Acme_Lib-1.0-py3-none-any.whl are one distribution"
    remedy = "simpleindex delete acme-lib acme_lib-1.0-py3-none-any.whl && simpleindex delete acme-lib Acme_Lib-1.0-py3-none-any.whl"
    one(judge_directory(facts), Severity.WARNING, words, remedy)
    *_, last = judge_directory(replace(facts, doubles=[*facts.doubles] * (MOST_NAMED + 2)))
    assert last.sentence == "In several spellings, too: 2 more distributions."


def test_digests() -> None:
    file = ReadAgain("/p/acme/a.whl", "acme", "a.whl", "0" * 64, "1" * 64)
    remedy = "cp -p BACKUP/a.whl /p/acme/a.whl"
    one(
        find_changed_files([file]),
        Severity.ERROR,
        "its sha256 was 000000000000..., and is 111111111111... now",
        remedy,
    )
    one(
        find_changed_files([replace(file, now=None, trouble="Input/output error.")]),
        Severity.ERROR,
        "Input/output",
        remedy,
    )
    assert list(find_changed_files([replace(file, now=file.listed)])) == []
    *_, last = find_changed_files([file] * (MOST_NAMED + 3))
    assert last.sentence == "Changed like that, too: 3 more files."


def test_metadata_beside_wheels() -> None:
    one(
        find_changed_metadata([MetadataBeside("/p/a.whl.metadata", is_of_wheel=False)]),
        Severity.WARNING,
        "METADATA",
        "rm /p/a.whl.metadata",
    )
    assert list(find_changed_metadata([MetadataBeside("/p/a.whl.metadata", is_of_wheel=True)])) == []


PROBE = UpstreamProbe("pypi", "https://pypi.example/simple/", None, 0.1)


def test_upstreams() -> None:
    failed = replace(
        PROBE, failure="its certificate is not trusted.", ca_file="/ca", proxy="proxy.example:3128"
    )
    (finding, _) = judge_upstreams([failed], is_other_user=True)
    assert finding.sentence == (
        "The upstream pypi cannot be used: its certificate is not trusted. If a private CA issued it, name that CA with ca-file in the "
        "sources file."
    )
    assert (
        finding.remedy
        == "curl -sSI --max-time 20 --cacert /ca --proxy http://proxy.example:3128 https://pypi.example/simple/"
    )
    one(judge_upstreams([replace(PROBE, seconds=9.0)], is_other_user=True), Severity.HINT, "took 9 s")
    one(
        judge_upstreams([replace(PROBE, url="http://pypi.example/simple/")], is_other_user=True),
        Severity.WARNING,
        "without TLS",
    )
    proxied = replace(PROBE, proxy="proxy.example:3128")
    (hint,) = judge_upstreams([proxied], is_other_user=True)
    assert "variables of this shell" in hint.sentence
    for well in (
        PROBE,
        proxied,
        replace(PROBE, url="http://localhost:1/"),
        replace(PROBE, url="http://127.0.0.1/"),
    ):
        assert list(judge_upstreams([well], is_other_user=False)) == []


RULES = """
[[upstream]]
name = "pypi"
url = "https://pypi.example/simple/"
[[directory]]
name = "staging"
path = "staging"
[[view]]
name = "stable"
sources = ["local", "pypi"]
"""


@for_each(
    ("rules", "words"),
    [
        (
            '[[rule]]\nname = "a"\naction = "deny"\n[[rule]]\nname = "b"\naction = "allow"\nprojects = ["x"]',
            "the rule a above it",
        ),
        (
            '[[rule]]\nname = "a"\naction = "allow"\nprojects = ["x", "y"]\n[[rule]]\nname = "b"\nmin-age = "7d"\nprojects = ["x"]',
            "the rule a above it",
        ),
        # Each of these leaves something.
        (
            '[[rule]]\nname = "a"\naction = "allow"\nprojects = ["x"]\n[[rule]]\nname = "b"\nmin-age = "7d"',
            None,
        ),
        (
            '[[rule]]\nname = "a"\naction = "deny"\nexclude = ["x"]\n[[rule]]\nname = "b"\naction = "deny"',
            None,
        ),
        (
            '[[rule]]\nname = "a"\naction = "deny"\nversions = "<2"\n[[rule]]\nname = "b"\naction = "deny"',
            None,
        ),
        ('[[rule]]\nname = "a"\nmin-age = "7d"\n[[rule]]\nname = "b"\naction = "deny"', None),
        (
            '[[rule]]\nname = "a"\naction = "deny"\nviews = ["stable"]\n[[rule]]\nname = "b"\naction = "deny"',
            None,
        ),
        (
            '[[rule]]\nname = "a"\naction = "deny"\nsources = ["pypi"]\n[[rule]]\nname = "b"\naction = "deny"\nsources = ["pypi", "local"]',
            None,
        ),
        (
            '[[rule]]\nname = "a"\naction = "deny"\n[[rule]]\nname = "b"\naction = "deny"\nsources = ["local"]',
            None,
        ),
    ],
)
def test_rules(rules: str, words: str | None) -> None:
    sources = parse_sources(f"{RULES}{rules}".encode())
    findings = judge_rules(sources.rules, ["local", "staging", "pypi"], "sources.toml")
    if words is None:
        assert list(findings) == []
    else:
        one(findings, Severity.WARNING, words)


def test_a_rule_without_an_upstream() -> None:
    sources = parse_sources(b'[[rule]]\nname = "a"\naction = "deny"')
    one(
        judge_rules(sources.rules, ["local"], "sources.toml"),
        Severity.WARNING,
        "no upstream that it is about",
    )


def test_accounts() -> None:
    access = parse_access(
        b'[groups]\nstaff = ["bob"]\n[[rule]]\nprojects = ["*"]\nread = ["alcie", "group:staff", "anyone"]\n'
    )
    files = AccountFiles("/etc/users", "/etc/access.toml", Users({"alice": "x", "bob": "x"}), access)
    one(
        judge_accounts(files),
        Severity.HINT,
        "Rule 1 of access.toml lists 'alcie'",
        "simpleindex passwd alcie",
    )
    one(judge_accounts(AccountFiles(unusable=("/x is not valid: it has no rules.",))), Severity.ERROR, "/x")
    refused = AccountFiles("/etc/users", None, Users({}, ("line 1 is too weak.",)))
    one(judge_accounts(refused), Severity.WARNING, "/etc/users: line 1")


SERVER = ServerFacts("https://localhost/", version="1.0", installed="1.0")


def test_server() -> None:
    assert list(judge_server(SERVER)) == []
    one(
        judge_server(replace(SERVER, is_running=False)),
        Severity.HINT,
        "No server answers",
        "systemctl start simpleindex",
    )
    one(judge_server(replace(SERVER, refusal="TLS fails.")), Severity.ERROR, "TLS fails")
    one(
        judge_server(replace(SERVER, suspended="The root is gone.")),
        Severity.ERROR,
        "answers nothing: The root",
    )
    one(
        judge_server(replace(SERVER, installed="2.0")),
        Severity.WARNING,
        "version 1.0, and 2.0",
        "systemctl restart simpleindex",
    )
    one(
        judge_server(replace(SERVER, troubles=("The disk is full.",))),
        Severity.WARNING,
        "last hour: The disk",
    )


def test_a_server_that_shows_no_project() -> None:
    one(judge_unread(has_token=False), Severity.HINT, "they need a token", "export SIMPLEINDEX_TOKEN=TOKEN")
    one(judge_unread(has_token=True), Severity.WARNING, "reads no project", "simpleindex access NAME")


def test_clients() -> None:
    assert list(judge_clients([ClientTrial("pip", "pip install x")])) == []
    one(
        judge_clients([ClientTrial("uv", "uv pip install x", "No solution found.")]),
        Severity.ERROR,
        "uv cannot install",
        "uv pip install x",
    )


def test_bucket() -> None:
    well = BucketFacts("s3://packages/py")
    assert list(judge_bucket(well, takes_uploads=True)) == []
    away = replace(well, failure="Could not connect to the endpoint.")
    one(
        judge_bucket(away, takes_uploads=True),
        Severity.ERROR,
        "cannot be read: Could",
        "aws s3 ls s3://packages/py/",
    )
    broken = replace(well, broken_promise="lets these credentials read only")
    one(judge_bucket(broken, takes_uploads=True), Severity.ERROR, "the store of s3://packages/py lets")
    one(judge_bucket(broken, takes_uploads=False), Severity.HINT, "Nothing can be uploaded")


def test_configuration() -> None:
    facts = ConfigurationFacts(
        has_configuration=True, has_usual=True, user="root", service_user="index", sees_everything=True
    )
    assert list(judge_configuration(facts)) == []
    assert list(judge_configuration(replace(facts, has_configuration=False, has_usual=False))) == []
    remedy = f"export SIMPLEINDEX_CONFIG={USUAL_CONFIGURATION}"
    without = replace(facts, has_configuration=False)
    one(judge_configuration(without), Severity.HINT, "were not examined", remedy)
    stranger = replace(facts, user="bob", sees_everything=False)
    remedy = "sudo --preserve-env=SIMPLEINDEX_CONFIG simpleindex doctor"
    one(
        judge_configuration(stranger),
        Severity.WARNING,
        "bob runs this command, and index the service",
        remedy,
    )
