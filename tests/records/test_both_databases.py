"""What every database of records must do, whether it is a SQLite file or a PostgreSQL server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from simpleindex.access.errors import FormWasSent, TooManyTokens, UnusableToken
from simpleindex.access.identity import Action
from simpleindex.access.token_options import TokenOptions
from simpleindex.core.errors import Unavailable
from simpleindex.core.names import ProjectName
from simpleindex.policy.judgement import Allowance
from simpleindex.records.allowances import AllowanceTable
from simpleindex.records.first_seen import FirstSeen
from simpleindex.records.owners import OwnerTable, UndecidedClaim
from simpleindex.records.tokens import TokenTable
from simpleindex.records.used_names import UsedNames
from simpleindex.system.operation_times import OperationTimes

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.records.interface import Records, RecordsTransaction

    OpenDatabase = Callable[[], Records]

ACME, OTHER = ProjectName("acme"), ProjectName("other")
OPTIONS = TokenOptions((Action.UPLOAD, Action.READ), ("acme-*", "other"), 2000, "ci")


def test_reads_and_writes_are_measured(open_database: OpenDatabase) -> None:
    """Each by itself, and with its failures."""
    database, times = open_database(), OperationTimes()
    database.measure(times)
    database.writer.write(lambda transaction: transaction.execute("SELECT 1"))
    assert database.writer.read("SELECT 1", ()) == [(1,)]

    def fail(_: object) -> None:
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        database.writer.write(fail)
    found = {name: (sum(each.counts), each.failures) for name, each in times.durations.items()}
    assert found == {"write": (2, 1), "read": (1, 0)}


def test_tokens(open_database: OpenDatabase) -> None:
    """One is found by its secret in every process, as it was made, until it is revoked or ends."""
    one, two = TokenTable(open_database()), TokenTable(open_database())
    token, secret = one.create("alice", OPTIONS, 1000.9)
    plain, _ = one.create(None, TokenOptions((Action.READ,), ("*",), None, ""), 2000)
    assert two.find(secret, 1999.9) == token
    assert [*two.all()] == [token, plain]
    assert [*two.of_user("alice")] == [token]
    two.touch(token.id, 1500)
    two.touch(token.id, 1501)
    assert one.all()[0].last_used == 1500
    with pytest.raises(UnusableToken, match="expired"):
        one.find(secret, 2000)
    assert one.revoke(token.id, 1600) is not None
    with pytest.raises(UnusableToken, match="revoked"):
        two.find(secret, 1999)
    assert one.revoke("no-such", 1600) is None
    with pytest.raises(UnusableToken, match="unknown"):
        two.find("sidx-" + "A" * 43, 0)


def test_a_form_makes_one_token(open_database: OpenDatabase) -> None:
    """In whichever processes it arrives, and when; another user's form of the same value is another one."""
    tables = [TokenTable(open_database()) for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        made = [*pool.map(lambda n: _made_by_form(tables[n % 3], "alice"), range(12))]
    (token,) = tables[0].of_user("alice")
    assert made == [token.id] * 12
    assert _made_by_form(TokenTable(open_database()), "bob") == tables[0].of_user("bob")[0].id
    tables[1].revoke(token.id, 1000)
    with pytest.raises(FormWasSent, match=f"has made the token {token.id} already"):
        tables[2].create("alice", OPTIONS, 9000, form="once")


def test_a_token_is_revoked_once(open_database: OpenDatabase) -> None:
    """One of those who do so at the same time did it, and writes it into the audit."""
    tables = [TokenTable(open_database()) for _ in range(3)]
    token, _ = tables[0].create("alice", OPTIONS, 1000)
    with ThreadPoolExecutor(6) as pool:
        before = [*pool.map(lambda n: tables[n % 3].revoke(token.id, 1500 + n), range(12))]
    assert [each for each in before if each is None or each.revoked is None] == [token]
    (left,) = tables[1].all()
    assert {each.revoked for each in before if each is not None} == {None, left.revoked}


def _made_by_form(tokens: TokenTable, user: str) -> str:
    try:
        return tokens.create(user, OPTIONS, 1000, form="once")[0].id
    except FormWasSent as error:
        return error.id


def test_a_user_has_so_many_tokens(open_database: OpenDatabase) -> None:
    """Those that ended do not count; the refusal names the ones that nobody uses. Other users have their own."""
    one, two = TokenTable(open_database()), TokenTable(open_database())
    made = [one.create("alice", OPTIONS, number, most=5)[0].id for number in range(5)]
    one.touch(made[0], 1000)
    with pytest.raises(TooManyTokens, match=f"longest time: {made[1]}, {made[2]}, {made[3]}.") as refused:
        two.create("alice", OPTIONS, 1001, most=5, form="once")
    assert "alice has 5 tokens that can be used, and one user may have 5: revoke" in str(refused.value)
    two.create("bob", OPTIONS, 1001, most=5)
    for _ in range(6):
        two.create(None, OPTIONS, 1001, most=5)
    two.revoke(made[1], 1002)
    # The form that was refused made nothing, so it is as good as new.
    two.create("alice", OPTIONS, 1003, most=5, form="once")
    later = OPTIONS.expires or 0
    two.create("alice", OPTIONS, later, most=1)


def test_tokens_that_ended_are_forgotten_in_the_end(open_database: OpenDatabase) -> None:
    """Whoever makes and revokes them all day fills no disk; what can be used stays, and so do others' tokens."""
    tokens = TokenTable(open_database())
    kept = [
        tokens.create(user, TokenOptions((Action.READ,), ("*",), None, ""), 1)[0] for user in ("alice", "bob")
    ]
    ended = []
    for number in range(105):
        ended.append(tokens.create("alice", OPTIONS, 10 + number, form=str(number))[0].id)
        tokens.revoke(ended[-1], 10 + number)
    tokens.create("alice", OPTIONS, 500)
    left = [token.id for token in tokens.of_user("alice")]
    assert left[1:-1] == ended[5:]
    assert left[0] == kept[0].id
    assert [*tokens.of_user("bob")] == [kept[1]]
    with pytest.raises(FormWasSent):
        tokens.create("alice", OPTIONS, 500, form="104")
    # A form is noted no longer than its token, so that these fill no disk either.
    tokens.create("alice", OPTIONS, 500, form="0")


def test_owners(open_database: OpenDatabase) -> None:
    """Who comes first owns a name, once the claim is settled; others hear at once who that is."""
    one, two = OwnerTable(open_database()), OwnerTable(open_database())
    assert one.claim(ACME, "alice", 1.5) == "alice"
    with pytest.raises(UndecidedClaim):
        two.claim(ACME, "bob", 2)
    assert two.claim(ACME, "alice", 2) == "alice"
    assert (two.owner(ACME), two.owner(ACME, is_settled=True)) == ("alice", None)
    assert not two.settle(ACME, "bob")
    assert two.owner(ACME, is_settled=True) is None
    assert one.settle(ACME, "alice")
    assert one.settle(ACME, "alice")
    one.withdraw(ACME, "alice")
    assert two.owner(ACME, is_settled=True) == "alice"
    assert two.claim(ACME, "bob", 2, may_run_for=0) == "alice"
    assert two.claim(OTHER, "bob", 3, has_files=True) is None
    assert one.owners() == {ACME: "alice"}


def test_a_claim_of_a_killed_upload(open_database: OpenDatabase) -> None:
    """Ends when another user claims the name while no upload of it is running, and it has no files."""
    one, two = OwnerTable(open_database()), OwnerTable(open_database())
    one.claim(ACME, "alice", 1)
    assert two.claim(ACME, "bob", 2, has_files=True, may_run_for=0) == "alice"
    assert two.claim(ACME, "bob", 2, may_run_for=0) == "bob"
    assert not one.settle(ACME, "alice")
    one.withdraw(ACME, "alice")
    assert (one.owner(ACME), one.owner(ACME, is_settled=True)) == ("bob", None)
    assert one.claim(ACME, None, 3, may_run_for=0) is None
    one.claim(ACME, "alice", 4)
    two.withdraw(ACME, "alice")
    assert two.owners() == {}


def test_a_claim_of_an_upload_that_may_come_late(open_database: OpenDatabase) -> None:
    """Stays until the longest upload has ended; one that is sent again is a new one."""
    one, two = OwnerTable(open_database()), OwnerTable(open_database())
    one.claim(ACME, "alice", 1000)
    with pytest.raises(UndecidedClaim, match="Another user is uploading the project acme"):
        two.claim(ACME, "bob", 1599, may_run_for=600)
    assert one.claim(ACME, "alice", 1500, may_run_for=600) == "alice"
    for user in ("bob", None):
        with pytest.raises(UndecidedClaim):
            two.claim(ACME, user, 1600, may_run_for=600)
    assert two.claim(ACME, "bob", 2100, may_run_for=600) == "bob"


def test_one_of_many_gets_a_name(open_database: OpenDatabase) -> None:
    """The fastest wins; the others learn who that was."""
    tables = [OwnerTable(open_database()) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        owners = {*pool.map(lambda n: _owner_after(tables[n % 4], f"user{n}"), range(24))} - {None}
    assert len(owners) == 1
    assert tables[0].owners() == {ACME: owners.pop()}


def _owner_after(owners: OwnerTable, user: str) -> str | None:
    try:
        return owners.claim(ACME, user, 1)
    except UndecidedClaim:
        return None


def test_allowances(open_database: OpenDatabase) -> None:
    one, two = AllowanceTable(open_database()), AllowanceTable(open_database())
    one.add(Allowance(ACME, None, 100.0, "alice", "first"))
    one.add(Allowance(ACME, None, 200.0, "bob", "again"))
    one.add(Allowance(OTHER, "1.0", 150.0, "bob", "other"))
    assert two.active(100) == (
        Allowance(OTHER, "1.0", 150.0, "bob", "other"),
        Allowance(ACME, None, 200.0, "bob", "again"),
    )
    assert two.remove(OTHER, "1.0")
    assert not two.remove(OTHER, "1.0")
    assert [each.name for each in one.active(100)] == [ACME]
    assert one.active(200) == ()


def test_first_seen(open_database: OpenDatabase) -> None:
    """What another process saw first counts."""
    one, two = FirstSeen(open_database()), FirstSeen(open_database())
    assert one.times("i", ACME, {"a": "x", "b": ""}, 5 << 60 >> 3) == {"a": 5 << 57, "b": 5 << 57}
    assert two.times("i", ACME, {"a": "x", "c": "z"}, 9) == {"a": 5 << 57, "c": 9}


def test_used_names(open_database: OpenDatabase) -> None:
    """For good, in every process."""
    one, two = UsedNames(open_database()), UsedNames(open_database())
    assert not one.has(ACME)
    one.add([ACME])
    two.add([OTHER])
    assert two.has(ACME)
    one.add([ProjectName("third")])
    assert one.has(OTHER)


def test_a_change_that_fails_changes_nothing(open_database: OpenDatabase) -> None:
    """It is rolled back, and the next one works."""
    database = open_database()
    owners = OwnerTable(database)
    owners.claim(ACME, "alice", 1)

    def fail(transaction: RecordsTransaction) -> None:
        transaction.execute("DELETE FROM owners")
        transaction.execute("DELETE FROM no_such_table")

    with pytest.raises(Unavailable):
        database.write(fail)
    assert owners.owners() == {ACME: "alice"}
    assert owners.claim(OTHER, "bob", 2) == "bob"
    database.close()
    assert owners.owner(OTHER) == "bob"
