"""``python -m simpleindex`` is the ``simpleindex`` command."""

from simpleindex.cli import main

raise SystemExit(main())
