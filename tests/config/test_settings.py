"""All options together: precedence, defaults, contradictions, changes."""

from __future__ import annotations

import json
import pwd
from dataclasses import fields, replace
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.config import acme_values, bucket_location, values
from simpleindex.config.acme_values import LETS_ENCRYPT, LETS_ENCRYPT_STAGING, AcmeContact, Identifier
from simpleindex.config.options import OPTION_NAMES, OPTIONS
from simpleindex.config.resolution import METRICS_FOR, option_texts, resolve
from simpleindex.config.settings import Settings, changes
from simpleindex.config.values import ListenAddress, WatchMode
from simpleindex.core.errors import RefusedStart

if TYPE_CHECKING:
    from simpleindex.config.option import Option

HOME = {"HOME": "/home/me"}

Given = dict[str, Any]


_OF_OTHER_TYPES = {
    # A bucket, or nothing at all, is taken apart from the value of the option (config/resolution.py).
    "path": Path,
    "metrics-for": tuple[values.Network, ...] | None,
    # Their defaults follow from the environment.
    "state": Path,
    "cache": Path,
}


def test_each_setting_has_the_type_that_its_option_reads() -> None:
    """The settings are made from the table of options as keywords, where mypy does not look."""
    names = {**vars(acme_values), **vars(bucket_location), **vars(values), "Path": Path}
    stated = get_type_hints(Settings, localns=names)
    read = {option.field: _type_of(option, names) for option in OPTIONS}
    assert {field: stated[field] for field in read} == read
    assert set(stated) - set(read) == {"bucket", "defaulted_http"}


def _type_of(option: Option, names: dict[str, Any]) -> Any:
    if option.name in _OF_OTHER_TYPES or option.flag:
        return _OF_OTHER_TYPES.get(option.name, bool)
    reads: Any = Path if option.parse is str and option.is_path else option.parse
    if not isinstance(reads, type):
        reads = get_type_hints(reads, localns=names)["return"]
    if option.repeatable:
        return tuple[reads, ...]
    return reads if option.default else reads | type(option.empty)


def test_defaults(tmp_path: Path) -> None:
    """Nothing given: the working directory, on loopback, with the help's defaults."""
    assert resolve({}, HOME, tmp_path) == Settings(
        path=tmp_path,
        https=(),
        http=(ListenAddress("tcp:8080:interface=127.0.0.1"),),
        serve_http=False,
        acme_webroot=None,
        acme=None,
        acme_name=(),
        acme_directory=LETS_ENCRYPT,
        acme_profile=None,
        acme_eab_id=None,
        acme_eab_key=None,
        acme_trust=None,
        certs=tmp_path / "certs",
        state=Path("/home/me/.local/state/simpleindex"),
        new_records=False,
        cache=Path("/home/me/.cache/simpleindex"),
        sources=None,
        users=None,
        access=None,
        hooks=None,
        insecure_auth=False,
        url=None,
        title="Package index",
        notice="",
        watch=WatchMode.AUTO,
        token_memory=60,
        poll_interval=2.0,
        follow_root=False,
        access_log=None,
        downloads=True,
        keep_downloads=400,
        keep_addresses=False,
        metrics_for=METRICS_FOR,
        immutable_files=False,
        cors="*",
        trusted_proxy=(),
        max_connections_per_address=256,
        page_cache=64 * 1024 * 1024,
        workers=1,
        bucket=None,
        bucket_cache=10 << 30,
        redirect_downloads=0,
        records=None,
        config=None,
        defaulted_http=True,
    )


def test_the_help_tells_the_true_defaults(tmp_path: Path) -> None:
    """Giving every default that is a value, as --help words it, changes nothing."""
    spelled = {option.name: option.default for option in OPTIONS if option.default}
    del spelled["acme-directory"]  # means nothing without --acme
    assert len(spelled) == 13
    assert resolve(spelled, HOME, tmp_path) == resolve({}, HOME, tmp_path)


EVERYTHING: Given = {
    "path": "/",
    "https": ("443", "tcp:8443:interface=192.0.2.1"),
    "http": ("80",),
    "serve-http": True,
    "acme-webroot": "acme",
    "acme": "you@example.org",
    "acme-name": ("packages.example.com", "192.0.2.1"),
    "acme-directory": "staging",
    "acme-profile": "shortlived",
    "acme-eab-id": "kid-1",
    "acme-eab-key": "eab.key",
    "acme-trust": "roots.pem",
    "certs": "~/certs",
    "state": "state",
    "new-records": True,
    "token-memory": "30s",
    "cache": "/var/cache/x",
    "sources": "sources.toml",
    "users": "people/passwd",
    "access": "/etc/access.toml",
    "hooks": "/etc/hooks.toml",
    "insecure-auth": True,
    "url": "https://Packages.example.com",
    "title": "Packages of Example",
    "notice": "Ask **us**.",
    "watch": "poll",
    "poll-interval": "0.2",
    "follow-root": True,
    "access-log": "log",
    "downloads": "on",
    "keep-downloads": "30d",
    "keep-addresses": True,
    "metrics-for": ("192.0.2.9",),
    "immutable-files": True,
    "cors": "https://app.example.com",
    "trusted-proxy": ("10.0.0.0/8", "::1"),
    "max-connections-per-address": "0",
    "page-cache": "1G",
    "workers": "auto",
    "bucket-cache": "0",
    "redirect-downloads": "10m",
    "records": "postgresql://db/x",
}


def everything(base: Path, config: Path | None = None) -> Settings:
    """What EVERYTHING means when its relative paths start from the given directory."""
    return Settings(
        path=Path("/"),
        https=(ListenAddress("443", 443), ListenAddress("tcp:8443:interface=192.0.2.1")),
        http=(ListenAddress("80", 80),),
        serve_http=True,
        acme_webroot=base / "acme",
        acme=AcmeContact("you@example.org"),
        acme_name=(Identifier("packages.example.com"), Identifier("192.0.2.1")),
        acme_directory=LETS_ENCRYPT_STAGING,
        acme_profile="shortlived",
        acme_eab_id="kid-1",
        acme_eab_key=base / "eab.key",
        acme_trust=base / "roots.pem",
        certs=Path("/home/me/certs"),
        state=base / "state",
        new_records=True,
        cache=Path("/var/cache/x"),
        sources=base / "sources.toml",
        users=base / "people/passwd",
        access=Path("/etc/access.toml"),
        hooks=Path("/etc/hooks.toml"),
        insecure_auth=True,
        url="https://packages.example.com/",
        title="Packages of Example",
        notice="Ask **us**.",
        watch=WatchMode.POLL,
        token_memory=30,
        poll_interval=0.2,
        follow_root=True,
        access_log=base / "log",
        downloads=True,
        keep_downloads=30,
        keep_addresses=True,
        metrics_for=(ip_network("192.0.2.9/32"),),
        immutable_files=True,
        cors="https://app.example.com",
        trusted_proxy=(ip_network("10.0.0.0/8"), ip_network("::1")),
        max_connections_per_address=0,
        page_cache=1 << 30,
        workers=0,
        bucket=None,
        bucket_cache=0,
        redirect_downloads=600,
        records="postgresql://db/x",
        config=config,
    )


def variables(options: Given) -> dict[str, str]:
    """The options as environment variables."""
    by_name = {option.name: option for option in OPTIONS}
    return {
        by_name[name].variable: " ".join(value) if isinstance(value, tuple) else str(value)
        for name, value in options.items()
    }


def toml(options: Given) -> str:
    """The options as a configuration file; JSON's strings, arrays and booleans are TOML's."""
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in options.items())


def test_everything_from_the_command_line(tmp_path: Path) -> None:
    """Every option can be given on the command line, with paths relative to the working directory."""
    assert EVERYTHING.keys() | {"config"} == set(OPTION_NAMES)
    assert resolve(EVERYTHING, HOME, tmp_path) == everything(tmp_path)


def test_everything_from_the_environment(tmp_path: Path) -> None:
    """Every option has its variable, with paths relative to the working directory."""
    assert resolve({}, HOME | variables(EVERYTHING), tmp_path) == everything(tmp_path)


@pytest.mark.parametrize("by_variable", [False, True])
def test_everything_from_a_file(tmp_path: Path, by_variable: bool) -> None:
    """Every option has its key, with paths relative to the file; the file is named on either layer above it."""
    file = tmp_path / "etc" / "s.toml"
    file.parent.mkdir()
    file.write_text(toml(EVERYTHING))
    line, environment = (
        ({}, {"SIMPLEINDEX_CONFIG": "etc/s.toml"}) if by_variable else ({"config": "etc/s.toml"}, {})
    )
    assert resolve(line, HOME | environment, tmp_path) == everything(file.parent, file)


def test_no_file_is_looked_for(tmp_path: Path) -> None:
    """A configuration lying in the served directory is not read until it is named, and then it may lie there."""
    file = tmp_path / "simpleindex.toml"
    file.write_text("watch = 'off'")
    assert resolve({}, HOME, tmp_path).watch is WatchMode.AUTO
    assert resolve({"config": "simpleindex.toml"}, HOME, tmp_path).watch is WatchMode.OFF


POOL: dict[str, st.SearchStrategy[Any]] = {
    "path": st.sampled_from(["/p/1", "/p/2"]),
    "https": st.lists(st.sampled_from(["443", "0", "tcp:1:interface=::1"]), min_size=1, max_size=2).map(
        tuple
    ),
    "http": st.lists(st.sampled_from(["80", "0", "unix:/x"]), min_size=1, max_size=2).map(tuple),
    "serve-http": st.booleans(),
    "acme-webroot": st.sampled_from(["/a/1", "/a/2"]),
    "certs": st.sampled_from(["/c/1", "/c/2", "/p/1"]),
    "state": st.sampled_from(["/s/1", "/s/2", "/p/2"]),
    "cache": st.sampled_from(["/k/1", "/k/2", "/s/1"]),
    "sources": st.sampled_from(["/o/1", "/o/2"]),
    "users": st.sampled_from(["/u/1", "/u/2"]),
    "access": st.sampled_from(["/r/1", "/r/2"]),
    "hooks": st.sampled_from(["/h/1", "/h/2"]),
    "insecure-auth": st.booleans(),
    "url": st.sampled_from(["https://a/", "http://b:1"]),
    "title": st.sampled_from(["A", "B c"]),
    "notice": st.sampled_from(["a", "b\nc"]),
    "watch": st.sampled_from([mode.value for mode in WatchMode]),
    "poll-interval": st.floats(0.05, 100).map(str),
    "token-memory": st.integers(2, 60).map("{}s".format),
    "follow-root": st.booleans(),
    "access-log": st.sampled_from(["-", "off", "/l/1"]),
    "downloads": st.sampled_from(["on", "off"]),
    "keep-downloads": st.sampled_from(["1d", "400d"]),
    "keep-addresses": st.booleans(),
    "metrics-for": st.sampled_from([("off",), ("10.0.0.0/8", "::1"), ("::1", "off")]),
    "immutable-files": st.booleans(),
    "cors": st.sampled_from(["*", "off", "https://a"]),
    "trusted-proxy": st.lists(st.sampled_from(["10.0.0.0/8", "::1"]), min_size=1, max_size=2).map(tuple),
    "max-connections-per-address": st.integers(0, 1000).map(str),
    "page-cache": st.integers(0, 1 << 40).map(str),
    "bucket-cache": st.sampled_from(["0", "2T"]),
    "redirect-downloads": st.sampled_from(["1m", "7d"]),
    "workers": st.integers(1, 999).map(str) | st.just("auto"),
    "records": st.sampled_from(["postgresql://a/b", "postgres://c"]),
}
LAYER = st.fixed_dictionaries({}, optional=POOL)


def outcome(line: Given, environment: dict[str, str]) -> Settings | str:
    """The settings, or that there are none."""
    try:
        return replace(resolve(line, HOME | environment, Path("/w"), root_may_be_gone=True), config=None)
    except RefusedStart:
        return "refused"


@given(file=LAYER, environment=LAYER, line=LAYER)
def test_precedence(
    tmp_path_factory: pytest.TempPathFactory, file: Given, environment: Given, line: Given
) -> None:
    """Three layers mean what their union means, the higher layer winning option by option and lists as wholes."""
    config = tmp_path_factory.getbasetemp() / "precedence.toml"
    config.write_text(toml(file))
    layered = outcome(line, variables(environment) | {"SIMPLEINDEX_CONFIG": str(config)})
    assert layered == outcome(file | environment | line, {})


@pytest.mark.parametrize(
    ("environment", "state", "cache"),
    [
        (
            {"STATE_DIRECTORY": "/var/lib/a:/var/lib/b", "CACHE_DIRECTORY": "/var/cache/a"},
            "/var/lib/a",
            "/var/cache/a",
        ),
        (
            {"STATE_DIRECTORY": "", "XDG_STATE_HOME": "/xdg/s", "XDG_CACHE_HOME": "/xdg/c"},
            "/xdg/s/simpleindex",
            "/xdg/c/simpleindex",
        ),
        (
            {"XDG_STATE_HOME": "relative", "XDG_CACHE_HOME": ""},
            "/home/me/.local/state/simpleindex",
            "/home/me/.cache/simpleindex",
        ),
    ],
)
def test_own_directories(tmp_path: Path, environment: dict[str, str], state: str, cache: str) -> None:
    """The directories of systemd come before XDG's before the home; XDG's must be absolute to count."""
    settings = resolve({}, HOME | environment, tmp_path)
    assert (settings.state, settings.cache) == (Path(state), Path(cache))


def test_home_from_the_password_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service without $HOME has the home of its user, as shells see it."""
    monkeypatch.setattr(pwd, "getpwuid", lambda _: type("Entry", (), {"pw_dir": "/home/db"}))
    assert resolve({}, {}, tmp_path).state == Path("/home/db/.local/state/simpleindex")


def test_no_home_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without an entry is asked for the directories, and needs no home once they are given."""

    def unknown(_: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(RefusedStart) as caught:
        resolve({}, {}, tmp_path)
    assert (
        str(caught.value) == "--state: there is no home directory to keep it in; give one, as in --state DIR"
    )
    given = {"state": "s", "cache": "c"}
    assert resolve(given, {}, tmp_path).cache == tmp_path / "c"


def test_relative_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are absolute even if the working directory was given as '.'."""
    monkeypatch.chdir(tmp_path)
    assert resolve({"path": "."}, HOME, Path()).path == tmp_path


@pytest.mark.parametrize(
    ("options", "redirects", "defaulted"),
    [
        ({}, False, True),
        ({"http": "80"}, False, False),
        ({"https": "443"}, False, False),
        ({"https": "443", "http": "80"}, True, False),
        ({"https": "443", "http": "80", "serve-http": True}, False, False),
        ({"http": "tcp:8080:interface=127.0.0.1"}, False, False),
    ],
)
def test_which_listeners(tmp_path: Path, options: Given, redirects: bool, defaulted: bool) -> None:
    """Beside HTTPS, HTTP only redirects unless told to serve; with neither, loopback is our own choice."""
    settings = resolve(options, HOME, tmp_path)
    assert (settings.redirect_http, settings.defaulted_http) == (redirects, defaulted)


SERVED = "is the served directory itself; give one beside it or inside it"
NO_HTTP = "means nothing without --http; add it or leave this out"
NO_HTTPS = "means nothing without --https; add it or leave this out"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"serve-http": True}, f"--serve-http: {NO_HTTP}"),
        ({"serve-http": True, "https": "443"}, f"--serve-http: {NO_HTTP}"),
        ({"acme-webroot": "a", "https": "443"}, f"--acme-webroot: {NO_HTTP}"),
        ({"path": "."}, None),
        ({"state": "."}, f"--state: '{{}}' {SERVED}"),
        ({"cache": "x/.."}, f"--cache: '{{}}/x/..' {SERVED}"),
        ({"certs": "link"}, f"--certs: '{{}}/link' {SERVED}"),
        ({"state": "x/s", "cache": "x/c"}, None),
        (
            {"state": "new", "cache": "x/../new"},
            "--cache: '{}/x/../new' is --state too, and a cache may be deleted; give another",
        ),
        ({"path": "none"}, "--path: '{}/none' does not exist; name the directory of packages"),
        ({"path": "file"}, "--path: '{}/file' is not a directory; name the directory of packages"),
        ({"path": "file/x"}, "--path: '{}/file/x' cannot be looked at: Not a directory"),
        ({"path": ""}, "--path: the value is empty"),
        ({"watch": "pol"}, "--watch: 'pol' is none of auto, inotify, poll, off; did you mean 'poll'?"),
        ({"url": "https://h"}, None),
    ],
)
def test_contradictions(tmp_path: Path, options: Given, sentence: str | None) -> None:
    """What cannot be obeyed together, or on this disk, is refused in one sentence; its neighbour is not."""
    (tmp_path / "x").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    if sentence is None:
        resolve(options, HOME, tmp_path)
        return
    with pytest.raises(RefusedStart) as caught:
        resolve(options, HOME, tmp_path)
    assert str(caught.value) == sentence.format(tmp_path)


def test_sentences_name_the_place(tmp_path: Path) -> None:
    """A contradiction names the layer that brought it in."""
    with pytest.raises(RefusedStart, match=f"^SIMPLEINDEX_SERVE_HTTP: {NO_HTTP}$"):
        resolve({}, HOME | {"SIMPLEINDEX_SERVE_HTTP": "on"}, tmp_path)
    file = tmp_path / "s.toml"
    file.write_text("path = 'gone'")
    with pytest.raises(RefusedStart) as caught:
        resolve({"config": str(file)}, HOME, tmp_path)
    expected = f"{file}: path: '{tmp_path}/gone' does not exist; name the directory of packages"
    assert str(caught.value) == expected


def test_metrics_are_on_or_off(tmp_path: Path) -> None:
    """Off is no address, and stands alone."""
    assert resolve({"metrics-for": ("off",)}, HOME, tmp_path).metrics_for is None
    with pytest.raises(
        RefusedStart, match=r"^--metrics-for: is off, and for some addresses; give one of both$"
    ):
        resolve({"metrics-for": ("off", "10.0.0.1")}, HOME, tmp_path)


def test_a_root_that_is_gone_while_reloading(tmp_path: Path) -> None:
    """An unmounted disk does not keep a reload from taking up the rest."""
    settings = resolve({"path": "gone", "cors": "off"}, HOME, tmp_path, root_may_be_gone=True)
    assert settings.cors is None


LIVE = {
    "acme-webroot": Path("/a"),
    "url": "https://h/",
    "title": "Other",
    "notice": "**New**",
    "poll-interval": 9.0,
    "access-log": "-",
    "downloads": False,
    "keep-downloads": 1,
    "keep-addresses": True,
    "immutable-files": True,
    "insecure-auth": True,
    "cors": None,
    "trusted-proxy": (ip_network("::1"),),
    "max-connections-per-address": 1,
    "page-cache": 1,
}
RESTART = {
    "metrics-for": None,
    "workers": 3,
    "bucket-cache": 1,
    "redirect-downloads": 60,
    "records": "postgresql://db/x",
    "token-memory": 30,
    "acme": AcmeContact(None),
    "acme-name": (Identifier("packages.example.org"),),
    "acme-directory": LETS_ENCRYPT_STAGING,
    "acme-profile": "shortlived",
    "acme-eab-id": "kid-2",
    "acme-eab-key": Path("/eab"),
    "acme-trust": Path("/roots"),
    "follow-root": True,
    "path": Path("/p"),
    "https": (ListenAddress("1", 1),),
    "http": (),
    "serve-http": True,
    "certs": Path("/c"),
    "state": Path("/s"),
    "new-records": True,
    "cache": Path("/k"),
    "sources": Path("/o"),
    "users": Path("/u"),
    "access": Path("/r"),
    "hooks": Path("/h"),
    "watch": WatchMode.OFF,
    "config": Path("/f"),
}


def with_options(settings: Settings, options: Given) -> Settings:
    """The settings with some options' values replaced."""
    return replace(settings, **{name.replace("-", "_"): value for name, value in options.items()})


@pytest.mark.parametrize("name", OPTION_NAMES)
def test_one_change(tmp_path: Path, name: str) -> None:
    """Each option, changed alone, is reported alone and on its own side."""
    old = resolve({}, HOME, tmp_path)
    live, restart = changes(old, with_options(old, {name: (LIVE | RESTART)[name]}))
    assert (live, restart) == (((name,), ()) if name in LIVE else ((), (name,)))


def test_all_changes(tmp_path: Path) -> None:
    """Nothing is forgotten, the order is that of the help, and no change is none."""
    old = resolve({}, HOME, tmp_path)
    live, restart = changes(old, with_options(old, LIVE | RESTART))
    assert set(live) == LIVE.keys()
    assert set(restart) == RESTART.keys()
    assert sorted((*live, *restart), key=OPTION_NAMES.index) == list(OPTION_NAMES)
    assert changes(old, old) == ((), ())


def test_settings_are_values(tmp_path: Path) -> None:
    """Settings are frozen and hashable, so that they can be compared and shared."""
    settings = resolve(EVERYTHING, HOME, tmp_path)
    assert hash(settings) == hash(everything(tmp_path))
    with pytest.raises(AttributeError):
        settings.cors = "*"  # type: ignore[misc]  # the point of the test
    assert len(fields(settings)) == len(OPTIONS) + 2  # bucket, defaulted_http


def test_insecure_auth_needs_logins(tmp_path: Path) -> None:
    """What takes credentials over plain HTTP means nothing where there are none."""
    with pytest.raises(RefusedStart, match="--insecure-auth: means nothing without --users or --access"):
        resolve({"insecure-auth": True}, HOME, tmp_path)
    settings = resolve({"insecure-auth": True, "users": "people"}, HOME, tmp_path)
    assert settings.users == tmp_path / "people"
    assert settings.has_logins


def test_a_bucket(tmp_path: Path) -> None:
    """Its uploads are checked in a local directory; commands that need a directory say so; another start takes it as it is."""
    given = {"path": "s3://packages/py/", "cache": str(tmp_path / "cache")}
    settings = resolve(given, HOME, tmp_path)
    assert str(settings.bucket) == "s3://packages/py"
    assert settings.path.parent == tmp_path / "cache"
    assert settings.poll_interval == 30
    assert option_texts(given, HOME, tmp_path)["path"] == ("s3://packages/py",)
    with pytest.raises(
        RefusedStart,
        match="simpleindex check works on a directory, and --path is the bucket s3://packages/py",
    ):
        settings.require_directory("simpleindex check")
    for wrong in ("s3://", "s3:///py", "s3://a/../py"):
        with pytest.raises(RefusedStart, match="--path"):
            resolve({"path": wrong}, HOME, tmp_path)
