"""The benchmark: simpleindex and its peers side by side, in one run, over the same files.

    python -m tests.benchmarks [--setup] [--smoke] [--large] [--only NAME,...] [--servers NAME,...]
                               [--before TWISTD] [--rounds N]
                               [--seconds S] [--work DIR] [--output DIR]

``--setup`` installs the peers, each into an environment of its own below the work directory (by default a directory of the
user's cache), with pip, and nginx and wrk with apt where that is possible; peers that are missing are left out, with the
reason. ``--smoke`` takes under a minute, needs no set-up and says nothing about speed. ``--large`` adds 100,000 projects.
``--only`` takes names of measures, which ``--help`` lists. ``nodes`` needs SeaweedFS, PostgreSQL and haproxy.
``--before`` takes the ``twistd`` of an environment with another version of simpleindex: "simpleindex before" takes its turns
wherever simpleindex does, and a table of ratios follows. Such an environment is made from a commit with::

    git worktree add ../before COMMIT
    python -m venv ../before/.venv
    ../before/.venv/bin/pip install '../before[publish]'
    python -m tests.benchmarks --before ../before/.venv/bin/twistd --servers simpleindex

Both directories are by default in the user's cache, never in the project.

The output directory gets ``results.txt`` (tables and goals), ``results.json`` (the same with machine, versions and every
sample) and, once set up, ``growth.png`` and ``nodes.png``. Everything is on loopback. Servers run on the first processor, load on the second.
The servers of a measure take turns, A B C C B A, and the median of the rounds is shown with its least and most; one that
has not got its turn is stopped (SIGSTOP). Processor time (user and system, of the whole process tree, per request) is what
noise leaves alone; it is what the goals compare.

The modules: ``repository`` makes files, ``setup`` installs, ``processes`` runs and weighs, ``servers`` has a class for each
peer, ``versions`` those of another version of simpleindex, ``load`` asks, ``relay`` makes distance, ``bench`` takes turns,
``measures``, ``lifetimes``, ``publishing``, ``clients``, ``nodes`` and ``caches`` (with ``caching_servers``) say what is measured,
``goals`` what is hoped for, ``report`` writes. ``work_per_request`` counts function calls instead of time.
"""
