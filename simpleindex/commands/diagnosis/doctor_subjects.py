"""The subjects of ``simpleindex doctor``, one after the other: facts are gathered, and judged."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from simpleindex.commands.diagnosis.check import DirectoryReading, read_directory
from simpleindex.commands.diagnosis.check_access import read_account_files
from simpleindex.commands.local_index import local_ca, local_url
from simpleindex.commands.progress import Progress
from simpleindex.commands.remote import TOKEN_VARIABLE
from simpleindex.commands.server.certificates import certificate_report
from simpleindex.core.errors import RefusedStart
from simpleindex.core.text import human_size, plural
from simpleindex.core.views import LOCAL
from simpleindex.diagnosis.accounts import judge_accounts
from simpleindex.diagnosis.certificates import CertificateFacts, ServedNames, judge_certificates
from simpleindex.diagnosis.configuration import USUAL_CONFIGURATION, ConfigurationFacts, judge_configuration
from simpleindex.diagnosis.databases import judge_databases, judge_records
from simpleindex.diagnosis.digests import find_changed_files, find_changed_metadata
from simpleindex.diagnosis.facts.clients import TriedIndex, installable, try_clients
from simpleindex.diagnosis.facts.databases import check_databases, records_facts
from simpleindex.diagnosis.facts.digests import read_again
from simpleindex.diagnosis.facts.machine import clock_of, disk_spaces, open_files_limit, watch_limits
from simpleindex.diagnosis.facts.places import current_user, foreign_entries, service_places, service_user
from simpleindex.diagnosis.facts.server import readable, request_status, trial_url
from simpleindex.diagnosis.finding import Finding, Severity, report_on
from simpleindex.diagnosis.machine import judge_clock, judge_open_files, judge_space, judge_watches
from simpleindex.diagnosis.packages import DirectoryFacts, doubles_of, judge_directory
from simpleindex.diagnosis.permissions import judge_permissions
from simpleindex.diagnosis.server import judge_clients, judge_server, judge_unread
from simpleindex.service.directory_report import taken_line
from simpleindex.service.places import further_directories
from simpleindex.system.extras import missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simpleindex.config.bucket_location import BucketLocation
    from simpleindex.config.settings import Settings
    from simpleindex.diagnosis.finding import SubjectReport
    from simpleindex.diagnosis.permissions import ServiceUser
    from simpleindex.diagnosis.upstreams import UpstreamProbe
    from simpleindex.views.sources_file import Sources


@dataclass(frozen=True)
class DoctorOptions:
    """What is to be examined.

    Attributes:
        settings: The settings of the server.
        user: The name of the service's user; None for the owner of the state directory.
        is_deep: Whether every file is read again.
        is_offline: Whether no upstream is requested.
    """

    settings: Settings
    user: str | None
    is_deep: bool
    is_offline: bool


def examine_subjects(options: DoctorOptions) -> Iterator[SubjectReport]:
    """Yield the report on each subject, when it is known.

    Raises:
        RefusedStart: There is no such user.
    """
    return _Examination(options).reports()


class _Examination:
    """One run; what one subject learns is there for those that follow."""

    def __init__(self, options: DoctorOptions) -> None:
        self._options = options
        self._settings = options.settings
        self._readings: list[DirectoryReading] = []
        self._probes: list[UpstreamProbe] = []
        self._sources: Sources | None = None
        self._url: str | None = None

    def reports(self) -> Iterator[SubjectReport]:
        yield self._configuration()
        yield self._permissions()
        yield self._records()
        if self._settings.has_logins:
            yield self._accounts()
        if self._settings.sources is not None:
            yield self._sources_file()
            if self._sources is not None and self._sources.upstreams and not self._options.is_offline:
                yield self._upstreams(self._sources)
        if self._settings.bucket is not None:
            yield self._bucket(self._settings.bucket)
        else:
            yield self._packages()
            if self._options.is_deep:
                yield self._digests()
        if self._settings.https:
            yield self._certificates()
        yield self._machine()
        yield self._server()
        if self._url is not None:
            yield self._clients(self._url)

    @cached_property
    def _user(self) -> ServiceUser:
        return service_user(self._settings, self._options.user)

    @cached_property
    def _further(self) -> dict[str, Path]:
        try:
            return further_directories(self._settings)
        except RefusedStart:
            return {}

    @cached_property
    def _directories(self) -> dict[str, Path]:
        return (
            {LOCAL: self._settings.path, **self._further} if self._settings.bucket is None else self._further
        )

    def _configuration(self) -> SubjectReport:
        settings = self._settings
        findings = judge_configuration(
            ConfigurationFacts(
                settings.config is not None,
                os.path.exists(USUAL_CONFIGURATION),
                current_user(),
                self._user.name,
                os.geteuid() in (0, self._user.uid),
            )
        )
        where = "the options of this command" if settings.config is None else str(settings.config)
        return report_on("configuration", f"{where}: serves {settings.bucket or settings.path}", findings)

    def _permissions(self) -> SubjectReport:
        settings, user = self._settings, self._user
        places = service_places(settings, tuple(self._further.values()))
        trees = [(settings.state, True), (settings.cache, True)]
        trees += [(path, settings.has_logins and name == LOCAL) for name, path in self._directories.items()]
        found = (foreign_entries(path, user, is_written=is_written) for path, is_written in trees)
        entries = [each for each in found if each is not None]
        summary = f"{plural(len(places), 'place')}, all of them open to {user.name}"
        return report_on("permissions", summary, judge_permissions(places, entries, user))

    def _records(self) -> SubjectReport:
        databases = check_databases(self._settings)
        where = "" if self._settings.records is None else "PostgreSQL, and "
        summary = f"{where}{plural(len(databases), 'database')}, all whole" if databases else "none yet"
        findings = [*judge_records(records_facts(self._settings)), *judge_databases(databases)]
        return report_on("records", summary, findings)

    def _accounts(self) -> SubjectReport:
        files = read_account_files(self._settings)
        counts = [] if files.users is None else [plural(len(files.users.hashes), "user")]
        counts += [] if files.access is None else [plural(len(files.access.rules), "access rule")]
        return report_on("accounts", ", ".join(counts), judge_accounts(files))

    def _sources_file(self) -> SubjectReport:
        from simpleindex.diagnosis.rules import judge_rules  # noqa: PLC0415  (only with upstreams)
        from simpleindex.service.check_sources import check_sources  # noqa: PLC0415  (the same)

        path = str(self._settings.sources)
        try:
            checked = check_sources(path, str(self._settings.cache))
        except RefusedStart as error:
            return report_on("sources", "", [Finding(Severity.ERROR, str(error))])
        self._sources = checked.sources
        names = [LOCAL, *(each.name for each in checked.sources.directories)]
        names += [each.name for each in checked.sources.upstreams]
        findings = [Finding(Severity.WARNING, line) for line in checked.warnings]
        findings += judge_rules(checked.sources.rules, names, path)
        return report_on("sources", checked.summary.rstrip("."), findings)

    def _upstreams(self, sources: Sources) -> SubjectReport:
        from simpleindex.commands.diagnosis.doctor_upstreams import request_upstreams  # noqa: PLC0415  (starts the reactor)
        from simpleindex.diagnosis.upstreams import judge_upstreams  # noqa: PLC0415  (only with upstreams)

        directory = os.path.dirname(str(self._settings.sources))
        self._probes = request_upstreams(sources.upstreams, directory)
        words = [
            f"{each.name} answered in {each.seconds:.1f} s{f' through {each.proxy}' if each.proxy else ''}"
            for each in self._probes
        ]
        is_other_user = self._user.uid != os.geteuid()
        return report_on(
            "upstreams", "; ".join(words), judge_upstreams(self._probes, is_other_user=is_other_user)
        )

    def _packages(self) -> SubjectReport:
        findings: list[Finding] = []
        projects = files = size = 0
        for name, path in self._directories.items():
            facts = DirectoryFacts(str(path))
            try:
                reading = read_directory(replace(self._settings, path=path), name)
            except RefusedStart as error:
                facts = replace(facts, trouble=str(error))
            else:
                self._readings.append(reading)
                report = reading.report
                projects, files, size = projects + report.projects, files + report.files, size + report.size
                taken = None
                if self._sources is not None:
                    taken = taken_line(report.names_by_entries, self._sources.allow_upstream)
                facts = replace(
                    facts,
                    withheld=report.withheld,
                    passed_over=report.passed_over,
                    spellings=reading.spellings,
                    doubles=doubles_of(reading.projects),
                    taken=taken,
                )
            findings += judge_directory(facts)
        summary = f"{plural(projects, 'project')}, {plural(files, 'file')}, {human_size(size)}"
        return report_on("packages", summary, findings)

    def _bucket(self, location: BucketLocation) -> SubjectReport:
        from simpleindex.diagnosis.bucket import judge_bucket  # noqa: PLC0415  (only with a bucket)

        try:
            from simpleindex.diagnosis.facts.bucket import probe_bucket  # noqa: PLC0415  (the same)
        except ModuleNotFoundError as error:
            finding = Finding(Severity.ERROR, f"--path: {missing(error.name, 's3')}")
            return report_on("bucket", "", [finding])
        facts = probe_bucket(location)
        findings = judge_bucket(facts, takes_uploads=self._settings.has_logins)
        return report_on("bucket", f"{location} can be read and written", findings)

    def _digests(self) -> SubjectReport:
        findings: list[Finding] = []
        count = 0
        with Progress(sys.stderr, "B") as progress:
            for path in self._directories.values():
                files, beside = read_again(
                    replace(self._settings, path=path), progress.expect, progress.advance
                )
                count += len(files)
                findings += [*find_changed_files(files), *find_changed_metadata(beside)]
        return report_on("digests", f"{plural(count, 'file')} read again, all as they were", findings)

    def _certificates(self) -> SubjectReport:
        settings, now = self._settings, datetime.now(UTC)
        try:
            report = certificate_report(settings, now)
        except RefusedStart as error:
            return report_on("certificates", "", [Finding(Severity.ERROR, str(error))])
        certificates = [_certificate(each) for each in report["certificates"]]
        host = None if settings.url is None else urlsplit(settings.url).hostname
        acme = report["acme"] or {}
        served = ServedNames(host, settings.acme is not None, acme.get("last-error"))
        ends = [each.expires for each in certificates if each.expires is not None and each.problem is None]
        summary = (
            f"{plural(len(ends), 'certificate')}, the first ends on {min(ends):%Y-%m-%d}"
            if ends
            else ("none yet; the server makes one when it starts")
        )
        return report_on("certificates", summary, judge_certificates(certificates, served, now))

    def _machine(self) -> SubjectReport:
        settings = self._settings
        spaces = disk_spaces(settings)
        watches = watch_limits(tuple(self._directories.values()))
        findings = [
            *judge_space(spaces, takes_uploads=settings.has_logins),
            *(judge_watches(watches) if settings.watch.value in ("auto", "inotify") else ()),
            *judge_open_files(open_files_limit()),
            *judge_clock(clock_of(settings, time.time(), self._probes)),
        ]
        least = min((each.free for each in spaces), default=0)
        return report_on(
            "machine", f"{human_size(least)} free, room for watches and open files, clock plausible", findings
        )

    def _server(self) -> SubjectReport:
        try:
            url = local_url(self._settings)
        except RefusedStart:
            return report_on("server", "it listens on no port that is known here")
        server = request_status(url, local_ca(self._settings), os.environ.get(TOKEN_VARIABLE))
        if server.is_running and server.refusal is None and server.suspended is None:
            self._url = url
        version = "" if server.version is None else f", version {server.version}"
        return report_on("server", f"{url} answers{version}", judge_server(server))

    def _clients(self, url: str) -> SubjectReport:
        releases = installable(project for reading in self._readings for project in reading.projects)
        if not releases:
            return report_on("clients", "not tried: no wheel here is for every Python and platform")
        ca, token = local_ca(self._settings), os.environ.get(TOKEN_VARIABLE)
        name = readable(url, ca, token, releases)
        if name is None:
            return report_on("clients", "", judge_unread(token is not None))
        release = releases[name]
        tried = trial_url(url, ca, token, release.path)
        trials = try_clients(TriedIndex(tried, ca, token), release.requirement)
        if not trials:
            return report_on("clients", "neither pip nor uv is installed here")
        names = " and ".join(each.client for each in trials)
        return report_on(
            "clients", f"{names} installed {release.requirement} from the server", judge_clients(trials)
        )


def _certificate(facts: dict[str, object]) -> CertificateFacts:
    path, names, expires = str(facts["file"]), facts["names"], facts["expires"]
    assert isinstance(names, list)
    return CertificateFacts(
        path,
        os.path.realpath(path),
        tuple(map(str, names)),
        None if facts["origin"] is None else str(facts["origin"]),
        None if expires is None else datetime.fromisoformat(str(expires)),
        None if facts["problem"] is None else str(facts["problem"]),
    )
