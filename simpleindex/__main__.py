"""``python -m simpleindex`` is the ``simpleindex`` command."""

from simpleindex.commands.main import main

raise SystemExit(main())
