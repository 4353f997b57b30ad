"""Nothing is collected here where the fast lane has been deleted."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("simpleindex.web.fast") else ["*"]
