"""The text of ``twistd simpleindex --help``: the options of the server in groups; and how all help is laid out."""

from __future__ import annotations

import argparse
import re
import textwrap
from functools import partial
from typing import Final

from simpleindex.config.options import OPTIONS

OPTION_GROUPS: Final = {
    "Packages": (
        *("path", "sources", "watch", "poll-interval", "follow-root", "immutable-files"),
        *("bucket-cache", "redirect-downloads"),
    ),
    "Addresses": (
        *("https", "http", "serve-http", "url", "trusted-proxy", "cors"),
        "max-connections-per-address",
    ),
    "Certificates": (
        *("certs", "acme", "acme-name", "acme-directory", "acme-profile", "acme-eab-id", "acme-eab-key"),
        *("acme-trust", "acme-webroot"),
    ),
    "People": ("users", "access", "insecure-auth", "token-memory"),
    "Files of the server": ("state", "new-records", "records", "cache"),
    "Hooks, logs and counts": (
        *("hooks", "access-log", "downloads", "keep-downloads", "keep-addresses"),
        "metrics-for",
    ),
    "Pages": ("title", "notice", "page-cache"),
    "Process": ("config", "workers"),
}
"""The names of all options, by what they are about, in the order of help and of the guide."""

_DESCRIPTION: Final = (
    "Serve a directory of Python packages as a complete package index with HTTPS. Every option can also be given as "
    "SIMPLEINDEX_<OPTION> in the environment, or as a key of the TOML file that --config names."
)


class HelpFormatter(argparse.HelpFormatter):
    """Lays out help as argparse does, but breaks no line within an option or the name of an event."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(_one_line(text), width, break_on_hyphens=False)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return textwrap.fill(
            _one_line(text), width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
        )


def server_usage(width: int | None) -> str:
    """Return the help of the server, below the line that twistd prints.

    Args:
        width: In characters; None for that of the terminal.
    """
    parser = argparse.ArgumentParser(
        usage=argparse.SUPPRESS,
        description=_DESCRIPTION,
        add_help=False,
        formatter_class=partial(HelpFormatter, width=width),
    )
    options = {option.name: option for option in OPTIONS}
    for title, names in OPTION_GROUPS.items():
        group = parser.add_argument_group(title)
        for option in map(options.__getitem__, names):
            repeatable = " May be repeated." if option.repeatable else ""
            default = (
                f" [default: {option.default_words}]" if option.default_words not in ("", "none") else ""
            )
            words = f"{option.help}{repeatable}{default}".replace("%", "%%")
            if option.flag:
                group.add_argument(f"--{option.name}", action="store_true", help=words)
            else:
                group.add_argument(f"--{option.name}", metavar=option.metavar, help=words)
    return parser.format_help()


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
