"""The table of options: what each is called, what it takes, what follows from it.

The command line, the environment, the configuration file, ``--help`` and the guide to options (``docs/options.md``) all follow this one table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

VARIABLE_PREFIX: Final = "SIMPLEINDEX_"
"""How the environment variables of options begin."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option.

    Attributes:
        name: As on the command line after ``--``, and as the key in the configuration file.
        help: One sentence that says what follows from giving it.
        metavar: What it takes, in capitals; empty for a flag.
        default: What applies without the option, in words; empty for a flag, which is then off.
        repeatable: Whether it can be given several times (an array in the file, split at white space in the environment).
        number: Whether the configuration file may give it as a bare number.
        restart_needed: Whether a change needs a restart, and does not apply on SIGHUP.
    """

    name: str
    help: str
    metavar: str = ""
    default: str = ""
    repeatable: bool = False
    number: bool = False
    restart_needed: bool = False

    @property
    def flag(self) -> bool:
        """Whether it takes no value on the command line."""
        return not self.metavar

    @property
    def is_path(self) -> bool:
        """Whether its value is always a path."""
        return self.metavar.partition("|")[0] in ("DIR", "FILE")

    @property
    def field(self) -> str:
        """Its attribute's name in :class:`simpleindex.config.settings.Settings`."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return VARIABLE_PREFIX + self.field.upper()


OPTIONS: Final = (
    Option(
        "path",
        "Serve the packages in this directory, or in a bucket (s3://bucket/prefix); only uploads and what else --access allows write to it.",
        metavar="DIR|s3://BUCKET/PREFIX",
        default=".",
        restart_needed=True,
    ),
    Option(
        "https",
        "Listen with TLS on this port of all addresses, or on this Twisted endpoint.",
        metavar="PORT|ENDPOINT",
        default="none",
        repeatable=True,
        number=True,
        restart_needed=True,
    ),
    Option(
        "http",
        "Listen without TLS on this port or endpoint; beside --https it only redirects there.",
        metavar="PORT|ENDPOINT",
        default="8080 on loopback if there is no --https either",
        repeatable=True,
        number=True,
        restart_needed=True,
    ),
    Option(
        "serve-http",
        "Serve the index over --http too instead of redirecting; what is read there can be changed on its way.",
        restart_needed=True,
    ),
    Option(
        "acme-webroot",
        "Answer /.well-known/acme-challenge/ over --http from this directory, so that certbot --webroot can renew.",
        metavar="DIR",
        default="none",
    ),
    Option(
        "acme",
        "Request certificates from a public authority by itself, with this e-mail address or the word none; this agrees to its terms.",
        metavar="EMAIL",
        default="none requested",
        restart_needed=True,
    ),
    Option(
        "acme-name",
        "Request them for this host name or IP address too.",
        metavar="NAME",
        default="the host of --url, else this machine's full name, else its public addresses",
        repeatable=True,
        restart_needed=True,
    ),
    Option(
        "acme-directory",
        "Request them from the authority with this ACME directory: an https URL, or the word letsencrypt or staging.",
        metavar="URL",
        default="letsencrypt",
        restart_needed=True,
    ),
    Option(
        "acme-profile",
        "Request them with this profile of the authority.",
        metavar="NAME",
        default="shortlived for IP addresses where there is such a one, else the authority's own",
        restart_needed=True,
    ),
    Option(
        "acme-eab-id",
        "Bind the account to the one with this identifier at the authority (external account binding).",
        metavar="ID",
        default="none",
        restart_needed=True,
    ),
    Option(
        "acme-eab-key",
        "Take the key of that binding from this file.",
        metavar="FILE",
        default="none",
        restart_needed=True,
    ),
    Option(
        "acme-trust",
        "Trust the roots in this PEM file for the authority's directory.",
        metavar="FILE",
        default="the system's",
        restart_needed=True,
    ),
    Option(
        "certs",
        "Take certificates and keys from this directory; if it is empty a private CA is made for it.",
        metavar="DIR",
        default="certs",
        restart_needed=True,
    ),
    Option(
        "state",
        "Keep here what cannot be rebuilt, such as the private CA's key; back it up. Each server needs one of its own.",
        metavar="DIR",
        default="$STATE_DIRECTORY, else $XDG_STATE_HOME/simpleindex, else ~/.local/state/simpleindex",
        restart_needed=True,
    ),
    Option(
        "new-records",
        "Begin with new records where those in --state were lost, without their tokens and owners; for one start.",
        restart_needed=True,
    ),
    Option(
        "records",
        "Keep tokens, owners and other records in this PostgreSQL database, which several nodes share (extra postgresql).",
        metavar="URL",
        default="a file in --state",
        restart_needed=True,
    ),
    Option(
        "token-memory",
        "Accept tokens this long after the database of --records was last heard of, from 2s to 60s; a token that is revoked meanwhile "
        "is accepted too.",
        metavar="DURATION",
        default="60s",
        restart_needed=True,
    ),
    Option(
        "cache",
        "Keep digests and extracted metadata here; deleting it costs time and nothing else.",
        metavar="DIR",
        default="$CACHE_DIRECTORY, else $XDG_CACHE_HOME/simpleindex, else ~/.cache/simpleindex",
        restart_needed=True,
    ),
    Option(
        "sources",
        "Ask the indexes in this TOML file for what is not here, and keep what they have in --cache.",
        metavar="FILE",
        default="none",
        restart_needed=True,
    ),
    Option(
        "users",
        "Let the people in this htpasswd file log in, and upload unless --access says otherwise.",
        metavar="FILE",
        default="none",
        restart_needed=True,
    ),
    Option(
        "access",
        "Take from this TOML file who may read, upload, yank and delete what.",
        metavar="FILE",
        default="anyone reads, people of --users upload",
        restart_needed=True,
    ),
    Option(
        "hooks",
        "Notify the servers and programs in this TOML file of uploads, yanks and other events.",
        metavar="FILE",
        default="none",
        restart_needed=True,
    ),
    Option(
        "insecure-auth",
        "Take passwords and tokens over plain HTTP from other machines too; anybody on the way can read them.",
    ),
    Option(
        "url",
        "Use this URL where clients need an absolute one; set it behind a proxy.",
        metavar="URL",
        default="the certificate's first name and the port",
    ),
    Option(
        "title",
        "Call the index so on the pages for people and in feeds.",
        metavar="NAME",
        default="Package index",
    ),
    Option(
        "notice",
        "Show this text in Markdown on the front page; the configuration file can hold several lines of it.",
        metavar="TEXT",
        default="none",
    ),
    Option(
        "watch",
        "Learn of changes by inotify, by polling, by whichever works here (auto), or only at start (off).",
        metavar="auto|inotify|poll|off",
        default="auto",
        restart_needed=True,
    ),
    Option(
        "poll-interval",
        "Look for changes this often where events do not tell; shorter is fresher and costs more.",
        metavar="SECONDS",
        default="2.0",
        number=True,
    ),
    Option(
        "follow-root",
        "Serve a directory that takes the place of --path (a snapshot, a link turned) without SIGHUP, if it is on the same file "
        "system and has most of the same projects.",
        restart_needed=True,
    ),
    Option(
        "access-log",
        "Write a line per request, in the Combined Log Format, to this file, or to standard output (-).",
        metavar="FILE|-|off",
        default="off",
    ),
    Option(
        "downloads",
        "Count the downloads of distributions, by day, client and user, for `simpleindex downloads` and the pages of projects.",
        metavar="on|off",
        default="on",
    ),
    Option(
        "keep-downloads",
        "Keep counts of downloads for this long.",
        metavar="TIME",
        default="400d",
    ),
    Option(
        "keep-addresses",
        "Keep each download with its time and the address of its client, for `simpleindex who`, as long as the counts.",
    ),
    Option(
        "metrics-for",
        "Show /-/metrics to these addresses without a login, or count nothing for metrics (off); needs the extra `metrics`.",
        metavar="CIDR|off",
        default="this machine",
        repeatable=True,
        restart_needed=True,
    ),
    Option(
        "immutable-files",
        "Tell clients to keep files for ever, and let the kernel send them over plain HTTP; pip then fails on the hash of a file that "
        "is replaced.",
    ),
    Option(
        "cors",
        "Let web pages of this origin, of every origin (*) or of none (off) read the index.",
        metavar="ORIGIN|*|off",
        default="*",
    ),
    Option(
        "trusted-proxy",
        "Believe the client's address as these proxies forward it; anyone else's word is ignored.",
        metavar="CIDR",
        default="none",
        repeatable=True,
    ),
    Option(
        "max-connections-per-address",
        "Close further connections of a client that has this many open; 0 sets no bound.",
        metavar="N",
        default="256",
        number=True,
    ),
    Option(
        "page-cache",
        "Spend at most this much memory on rendered pages, in bytes or with K, M or G; others are rendered again.",
        metavar="BYTES",
        default="64M",
        number=True,
    ),
    Option(
        "bucket-cache",
        "With a bucket: keep files of it in --cache once they were downloaded, up to this size, in bytes or with K, M or G; 0 keeps none.",
        metavar="BYTES",
        default="10G",
        number=True,
        restart_needed=True,
    ),
    Option(
        "redirect-downloads",
        "With a bucket: redirect downloads to URLs of the store that are good for this long, such as 10m; without it files are sent from here.",
        metavar="DURATION",
        default="files are sent from here",
        restart_needed=True,
    ),
    Option(
        "workers",
        "Serve with this many processes, which share the ports and the directories; auto for one for each core.",
        metavar="N",
        default="1",
        number=True,
        restart_needed=True,
    ),
    Option(
        "config",
        "Read options from this TOML file too; no file is read unless it is named.",
        metavar="FILE",
        default="none",
        restart_needed=True,
    ),
)

OPTION_NAMES: Final = tuple(option.name for option in OPTIONS)


def guide_rows() -> str:
    """Return the rows of the table in docs/options.md; ``python -m tests.options_guide`` writes them there."""
    return "".join(f"{_guide_row(option)}\n" for option in OPTIONS)


def _guide_row(option: Option) -> str:
    metavar = f" {option.metavar}" if option.metavar else ""
    name = f"`--{option.name}{metavar}`{' (repeatable)' if option.repeatable else ''}"
    default = option.default or "off"
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in (name, default, option.help)) + " |"
