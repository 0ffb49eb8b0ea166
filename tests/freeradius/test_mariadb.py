"""Accounts in MariaDB, with FreeRADIUS's own tables, by docs/how-to/accounts/mariadb.rst."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.freeradius import recipe
from tests.freeradius.database import TITLE, Database
from tests.support.accounting import INTERIM, START, STOP, account, told
from tests.support.site import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.freeradius import Radiusd, Site

PASSWORD = "secret"
NUMBER = "+49 170 1234503"
CRYPTED = "$5$hA9gqfCZ$ImvsTbENyod.BJIBAWhADT26d93O8ZuI1m6DGqdY.b6"
WRITINGS = {
    "cleartext": ("Cleartext-Password", PASSWORD),
    "crypt": ("Crypt-Password", CRYPTED),
    "nt": ("NT-Password", "878D8014606CDA29677A44EFA1353FC7"),
    "nt-lower": ("NT-Password", "878d8014606cda29677a44efa1353fc7"),
    "nt-octets": ("NT-Password", "0x878D8014606CDA29677A44EFA1353FC7"),
    "md5": ("MD5-Password", "5ebe2294ecd0e0f08eab7690d2a6ee69"),
    "header": ("Password-With-Header", f"{{crypt}}{CRYPTED}"),
}
"""User name to how the same password is written."""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One that runs, with all these people."""
    one = Database(tmp_path_factory.mktemp("database") / "mariadb")
    rows = [
        *((name, attribute, value) for name, (attribute, value) in WRITINGS.items()),
        *((name, "SMSOTP-Phone", NUMBER) for name in WRITINGS),
    ]
    # Without "op", which is == then.
    values = ", ".join(f"('{name}', '{key}', '{value}')" for name, key, value in rows)
    one.run_sql(f"INSERT INTO radcheck (username, attribute, value) VALUES {values};", "radius")
    one.run_sql(recipe.code(TITLE, "sql"), "radius")
    one.put({"dave": (PASSWORD, [])})
    reply = f"INSERT INTO radreply VALUES (NULL, 'dave', 'SMSOTP-Phone', '=', '{NUMBER}');"
    one.run_sql(reply, "radius")
    yield one
    one.stop()


@pytest.fixture(scope="module")
def asks(database: Database) -> Callable[[Path], None]:
    """Makes a FreeRADIUS ask it: the same function, so that `share` knows it again."""
    return database.asked


@pytest.fixture
def radiusd(share: Callable[..., Radiusd], asks: Callable[[Path], None]) -> Radiusd:
    """A FreeRADIUS that asks it."""
    return share(asks, limits={"per_number_hour": 0})


@pytest.mark.parametrize("name", WRITINGS)
def test_every_writing_of_a_password_and_no_op(radiusd: Radiusd, name: str) -> None:
    challenge = radiusd.challenge(name, PASSWORD)
    assert challenge.message == "Enter the 6-digit code sent to ***03: "
    code = radiusd.site.code(challenge.state)
    assert radiusd.ask(name, code, challenge.state).kind == "Access-Accept"
    assert radiusd.ask(name, "wrong").kind == "Access-Reject"
    assert radiusd.site.kinds(name)[-1] == "pin-wrong"


def test_the_rows_of_the_recipe_and_a_number_in_radreply(radiusd: Radiusd) -> None:
    for name, hint in (("bob", "***01"), ("carol", "***02"), ("dave", "***03")):
        assert radiusd.challenge(name, PASSWORD).message.endswith(f"{hint}: ")
    assert radiusd.ask("nobody", PASSWORD).kind == "Access-Reject"
    assert radiusd.site.events("nobody")[-1].detail == {"reason": "unknown-account"}


def test_who_is_refused_between_the_steps_gets_in_no_more(
    radiusd: Radiusd, database: Database
) -> None:
    challenge = radiusd.challenge("dave", PASSWORD)
    code = radiusd.site.code(challenge.state)
    database.run_sql(
        "INSERT INTO radcheck VALUES (NULL, 'dave', 'Auth-Type', ':=', 'Reject');", "radius"
    )
    assert radiusd.ask("dave", code, challenge.state).kind == "Access-Reject"
    database.run_sql("DELETE FROM radcheck WHERE attribute = 'Auth-Type';", "radius")
    assert radiusd.site.events("dave")[-1].detail == {"reason": "refused"}


def test_accounting_goes_into_its_table(radiusd: Radiusd, database: Database) -> None:
    for status in (START, INTERIM, STOP):
        assert account(radiusd.port + 1, told(status, user=b"bob")) == {}
    rows = database.run_sql(
        "SELECT username, length(acctuniqueid), acctsessiontime, framedipaddress FROM radacct",
        "radius",
    )
    assert rows == [["bob", "32", "3700", "192.0.2.9"]]


def test_a_database_that_is_down_at_the_start_is_found_later(
    make_site: Callable[..., Site], database: Database, asks: Callable[[Path], None]
) -> None:
    database.stop()
    try:
        radiusd = make_site().start(edit=asks)
        reply = radiusd.ask("bob", PASSWORD)
    finally:
        database.start()
    assert reply.message == "Login is not possible at the moment. Please try again later."
    eventually(lambda: radiusd.ask("bob", PASSWORD).kind == "Access-Challenge")
