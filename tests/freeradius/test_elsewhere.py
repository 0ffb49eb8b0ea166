"""Accounts that only LDAP, SQL or a file knows, set up as docs/how-to/accounts says."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from radius_smsotp.cli import smsotp
from tests.freeradius import recipe, stock
from tests.freeradius.directory import Directory
from tests.freeradius.supplicant import PEAP_GTC, Supplicant
from tests.freeradius.test_wifi import code as wifi_code
from tests.support.accounting import INTERIM, START, STOP, account, told
from tests.support.freeradius import Radiusd, Site
from tests.support.radius import VENDOR_SPECIFIC
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STOCK = Path("/etc/freeradius/3.0")
FAILED = ("Access-Reject", "Login failed.")
UNAVAILABLE = (
    "Access-Reject",
    "Login is not possible at the moment. Please try again later.",
)
PEOPLE = {
    "erin": ("s3cret", ["+49 170 1234599"]),
    "frank": ("s3cret", ["ext. 4711", "+43 664 1234567", "0170 12345-88"]),
    "gina": ("s3cret", []),
    "jürgen": ("Straße", ["+49 170 1234577"]),
    "hal": ("s3cret", ["+1 202 5"]),
}
GERMAN = {"country": "DE", "limits": {"countries": ["+49"]}}
LOCKED = GERMAN | {"lockout": {"failures": 3, "minutes": 15}, "code": {"guesses": 5}}
LOCKED_SOON = GERMAN | {"lockout": {"failures": 1, "minutes": 15}}
GROUPS = {"erin": ["staff", "vpn-users"], "frank": ["staff"]}
BOB = {"bob": "secret"}


def log_in(site: Site, radiusd: Radiusd, name: str, password: str, hint: str) -> None:
    """A whole login."""
    challenge = radiusd.challenge(name, password)
    assert challenge.message == f"Enter the 6-digit code sent to {hint}: "
    code = site.code(challenge.state)
    assert radiusd.ask(name, code, challenge.state).kind == "Access-Accept"


def command(site: Site, *words: str) -> str:
    """What ``smsotp`` prints."""
    done = CliRunner().invoke(smsotp, ["--config", str(site.settings_path), *words])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def openldap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Directory]:
    """One for all."""
    one = Directory(tmp_path_factory.mktemp("directory") / "ldap", PEOPLE, GROUPS)
    yield one
    one.stop()


@pytest.fixture
def directory(openldap: Directory) -> Directory:
    """An OpenLDAP that runs."""
    if openldap.process is None:
        openldap.start()
    return openldap


@pytest.fixture(scope="module")
def asks_ldap(openldap: Directory) -> Callable[[Path], None]:
    """Makes a FreeRADIUS ask it: the same function, so that `share` knows it again."""
    return openldap.asked


def start_with_ldap(site: Site, directory: Directory) -> Radiusd:
    """A FreeRADIUS that asks it."""
    return site.start(edit=directory.asked)


def test_ldap_knows_password_and_number(
    share: Callable[..., Radiusd], asks_ldap: Callable[[Path], None], directory: Directory
) -> None:
    radiusd = share(asks_ldap, **LOCKED)
    site = radiusd.site
    log_in(site, radiusd, "erin", "s3cret", "***99")
    assert site.kinds("erin") == ["challenge-opened", "sms-accepted", "code-accepted"]
    # The first of several values that is a number and allowed; names are of any alphabet.
    log_in(site, radiusd, "frank", "s3cret", "***88")
    opened = next(one for one in site.events("frank") if one.kind == "challenge-opened")
    # Values of an attribute come in any order.
    assert "of SMSOTP-Phone holds letters" in opened.detail.get("number", "")
    log_in(site, radiusd, "Jürgen", "Straße", "***77")
    for name, password, reason in (
        ("erin", "wrong", None),
        ("erin", "", None),
        ("gina", "s3cret", "no-number"),
        ("hal", "s3cret", "bad-phone"),
        ("nobody", "s3cret", "unknown-account"),
        ("*", "s3cret", "unknown-account"),
        ("erin)(uid=*", "s3cret", "unknown-account"),
    ):
        reply = radiusd.ask(name, password)
        assert (reply.kind, reply.message) == FAILED, name
        assert site.events(name)[-1].detail.get("reason") == reason, name
    assert site.kinds("erin")[-1] == "pin-wrong"


def test_a_group_of_ldap_is_said_with_the_accept(
    make_site: Callable[..., Site], directory: Directory
) -> None:
    """As it is when the code comes, and in the attributes of several vendors."""
    site = make_site(**GERMAN)

    def edit(raddb: Path) -> None:
        directory.asked(raddb)
        group = recipe.code("Groups of a directory", "text")
        module = raddb / "mods-enabled" / "ldap"
        stock.replace(module, r"^\s*#  \"\+=\" takes all.*$", group)
        said = recipe.files("Groups of a directory")["policy.d/smsotp_first_factor"]
        recipe.replace_policies(raddb / "policy.d" / "smsotp_first_factor", said)

    radiusd = site.start(edit=edit)
    fortinet = (12356).to_bytes(4, "big") + b"\x01\x0bvpn-users"
    told = {11: b"vpn-users", 25: b"OU=vpn-users", VENDOR_SPECIFIC: fortinet}
    for name, granted in (("erin", told), ("frank", {})):
        challenge = radiusd.challenge(name, "s3cret")
        assert not told.keys() & {number for number, _ in challenge.pairs}
        accepted = radiusd.ask(name, site.code(challenge.state), challenge.state)
        assert accepted.kind == "Access-Accept"
        assert {one: value for one, value in accepted.pairs if one in told} == granted
    with Supplicant(radiusd, PEAP_GTC, user="erin") as device:
        device.question()
        device.answer("s3cret")
        device.answer(wifi_code(site, "erin"))
        assert device.accepted()
        assert b"OU=vpn-users".hex() in device.output().rpartition("(Access-Accept)")[2]


def test_a_directory_that_is_down_may_keep_out_who_has_a_code(
    make_site: Callable[..., Site], directory: Directory
) -> None:
    """In the first step it is nobody's fault all the same."""

    def edit(raddb: Path) -> None:
        directory.asked(raddb)
        said = recipe.files("Between the two steps")["policy.d/smsotp_first_factor"]
        recipe.replace_policies(raddb / "policy.d" / "smsotp_first_factor", said)

    site = make_site(**GERMAN)
    radiusd = site.start(edit=edit)
    log_in(site, radiusd, "erin", "s3cret", "***99")
    challenge = radiusd.challenge("frank", "s3cret")
    code = site.code(challenge.state)
    directory.stop()
    reply = radiusd.ask("frank", code, challenge.state)
    assert (reply.kind, site.events("frank")[-1].detail) == ("Access-Reject", {"reason": "refused"})
    radiusd.ask("erin", "s3cret")
    assert site.kinds("erin")[-1] == "first-factor-down"


@pytest.mark.once
def test_an_account_of_ldap_is_locked_limited_traced_and_unlocked(
    share: Callable[..., Radiusd], asks_ldap: Callable[[Path], None], directory: Directory
) -> None:
    radiusd = share(asks_ldap, **LOCKED)
    site = radiusd.site
    challenge = radiusd.challenge("erin", "s3cret")
    again = radiusd.ask("erin", "r", challenge.state)
    assert again.message.startswith("Sent again. ")
    radiusd.ask("erin", "000000", challenge.state)
    radiusd.ask("erin", "wrong")
    assert radiusd.ask("erin", "000000", challenge.state).kind == "Access-Reject"
    for password in ("wrong", "s3cret"):
        reply = radiusd.ask("erin", password)
        assert (reply.kind, reply.message) == FAILED
    assert site.events("erin")[-1].detail == {"reason": "locked"}
    told = command(site, "trace", "erin")
    assert "too many wrong PINs or codes; the account is locked for a time" in told
    assert "smsotp user unlock erin" in told
    assert command(site, "user", "unlock", "erin") == "erin: unlocked\n"
    log_in(site, radiusd, "erin", "s3cret", "***99")


@pytest.mark.once
def test_a_directory_is_not_asked_about_who_may_not_log_in(
    share: Callable[..., Radiusd], asks_ldap: Callable[[Path], None], directory: Directory
) -> None:
    """Else it would lock them too, on their desktops, and somebody could go on guessing there."""
    radiusd = share(asks_ldap, **LOCKED)
    site = radiusd.site
    before = {name: directory.binds(name) for name in ("erin", "gina")}

    def binds(name: str) -> int:
        return directory.binds(name) - before[name]

    for _ in range(3):
        radiusd.ask("erin", "wrong")
    assert binds("erin") == 3
    for password in ("wrong", "s3cret"):
        reply = radiusd.ask("erin", password)
        assert (reply.kind, reply.message) == FAILED
        assert site.events("erin")[-1].detail == {"reason": "locked"}
        assert radiusd.ask("gina", password).kind == "Access-Reject"
    assert site.kinds("erin")[-2:] == ["login-refused"] * 2
    assert (binds("erin"), binds("gina")) == (3, 0)
    command(site, "user", "unlock", "erin")
    log_in(site, radiusd, "erin", "s3cret", "***99")
    assert binds("erin") > 3


@pytest.mark.once
def test_blanks_around_a_name_make_no_other_account(
    share: Callable[..., Radiusd], asks_ldap: Callable[[Path], None], directory: Directory
) -> None:
    """The directory overlooks them; so whoever guesses would have a count for each writing."""
    radiusd = share(asks_ldap, **LOCKED)
    site = radiusd.site
    challenge = radiusd.challenge("erin ", "s3cret")
    code = site.code(challenge.state)
    assert radiusd.ask("erin", code, challenge.state).kind == "Access-Accept"
    for name in ("erin ", "erin  ", "Erin\u00a0"):
        assert radiusd.ask(name, "wrong").kind == "Access-Reject"
    for name in ("erin   ", "erin"):
        assert radiusd.ask(name, "s3cret").kind == "Access-Reject"
        assert site.events("erin")[-1].detail == {"reason": "locked"}


@pytest.mark.once
def test_limits_hold_for_an_account_of_ldap(
    make_site: Callable[..., Site], directory: Directory
) -> None:
    site = make_site(country="DE", limits={"per_account_hour": 1, "cooldown": 0})
    radiusd = start_with_ldap(site, directory)
    first = radiusd.challenge("erin", "s3cret")
    assert radiusd.ask("erin", "s3cret").kind == "Access-Reject"
    assert site.events("erin")[-1].detail == {"reason": "per_account_hour"}
    assert "No more SMS can be sent now." in radiusd.ask("erin", "r", first.state).message
    assert len(site.messages()) == 1


def test_a_directory_that_is_down_is_not_the_users_fault(
    make_site: Callable[..., Site], directory: Directory
) -> None:
    site = make_site(**LOCKED_SOON)
    radiusd = start_with_ldap(site, directory)
    challenge = radiusd.challenge("erin", "s3cret")
    code = site.code(challenge.state)
    directory.stop()
    for name, password in (("erin", "s3cret"), ("erin", "wrong"), ("nobody", "s3cret")):
        reply = radiusd.ask(name, password)
        assert (reply.kind, reply.message) == UNAVAILABLE
    assert site.kinds("erin")[-2:] == ["first-factor-down", "first-factor-down"]
    # The second step does not need it.
    assert radiusd.ask("erin", code, challenge.state).kind == "Access-Accept"
    directory.start()
    eventually(lambda: radiusd.ask("erin", "s3cret").kind == "Access-Challenge")
    assert "account-locked" not in site.kinds("erin")


def test_a_directory_that_was_restarted_knows_everybody(
    make_site: Callable[..., Site], directory: Directory
) -> None:
    """
    Whichever connections of the pool search and bind.

    FreeRADIUS binds as the user on one that it renews for that, and then takes it for its own.
    """

    def edit(raddb: Path) -> None:
        directory.asked(raddb)
        module = raddb / "mods-enabled" / "ldap"
        text = module.read_text().replace("pool {", "pool {\nspread = yes")
        for name, value in (("start", 3), ("min", 3), ("max", 3), ("spare", 0)):
            text = re.sub(rf"(?m)^\s*{name} = \d+$", f"{name} = {value}", text)
        module.write_text(text)

    radiusd = make_site(**GERMAN).start(edit=edit)
    directory.stop()
    directory.start()
    for _ in range(6):
        radiusd.challenge("erin", "s3cret")


@pytest.mark.once
def test_an_account_of_ldap_logs_in_over_wi_fi_and_a_directory_that_is_down_is_not_its_fault(
    make_site: Callable[..., Site], directory: Directory
) -> None:
    site = make_site(**LOCKED_SOON)
    radiusd = start_with_ldap(site, directory)
    with Supplicant(radiusd, PEAP_GTC, user="erin") as device:
        assert device.question() == "PIN: "
        assert device.answer("s3cret") == "Enter the 6-digit code sent to ***99: "
        directory.stop()
        # The second step does not need it.
        opened = site.events("erin")[0]
        assert device.answer(site.code(opened.transaction_id.encode())) is None
        assert device.accepted()
    with Supplicant(radiusd, PEAP_GTC, user="erin") as device:
        assert device.question() == "PIN: "
        assert device.answer("s3cret") is None
        assert not device.accepted()
    assert "first-factor-down" in site.kinds("erin")
    assert "account-locked" not in site.kinds("erin")


def test_a_directory_that_is_down_at_the_start_is_found_later(
    make_site: Callable[..., Site], directory: Directory
) -> None:
    directory.stop()
    site = make_site(**GERMAN)
    radiusd = start_with_ldap(site, directory)
    reply = radiusd.ask("erin", "s3cret")
    assert (reply.kind, reply.message) == UNAVAILABLE
    directory.start()
    eventually(lambda: radiusd.ask("erin", "s3cret").kind == "Access-Challenge")


@pytest.mark.once
def test_an_account_of_ours_counts_beside_that_of_ldap(
    make_site: Callable[..., Site], directory: Directory
) -> None:
    site = make_site(
        country="DE",
        providers={
            "demo": {"type": "folder", "path": "outbox"},
            "other": {"type": "folder", "path": "outbox-other"},
        },
    )
    site.add("erin", "+491700000000", text=None, provider="other")
    site.add("frank", None, text=None, enabled=False)
    radiusd = start_with_ldap(site, directory)
    challenge = radiusd.challenge("erin", "s3cret")
    assert challenge.message.endswith("***99: ")
    [sent] = (site.folder / "outbox-other").iterdir()
    assert challenge.state is not None
    assert sent.stem == challenge.state.decode()
    assert radiusd.ask("frank", "s3cret").kind == "Access-Reject"
    assert site.events("frank")[-1].detail == {"reason": "disabled"}


def test_local_accounts_beside_a_directory(
    make_site: Callable[..., Site], directory: Directory
) -> None:
    site = make_site(country="DE")
    site.add("local-alice")
    site.add("pinless", text=None)

    def edit(raddb: Path) -> None:
        directory.asked(raddb)
        recipe.install(raddb, "Local accounts beside a directory", {})

    radiusd = site.start(edit=edit)
    log_in(site, radiusd, "erin", "s3cret", "***99")
    log_in(site, radiusd, "alice", PIN, "***67")
    for name in ("erin", "alice", "local-alice", "pinless", "nobody", "local-nobody"):
        reply = radiusd.ask(name, "wrong")
        assert (reply.kind, reply.message) == FAILED
    reasons = {name: site.events(name)[-1].detail.get("reason") for name in ("erin", "pinless")}
    assert reasons == {"erin": None, "pinless": "no-pin"}
    directory.stop()
    for name, password in (("erin", "s3cret"), ("alice", PIN)):
        assert radiusd.ask(name, password).message == UNAVAILABLE[1]
    log_in(site, radiusd, "Local-Alice", PIN, "***67")


@pytest.mark.once
def test_whether_there_is_a_hash_decides_as_well(
    make_site: Callable[..., Site], directory: Directory
) -> None:
    """As some sites have it, in the place of the recipe's condition."""
    site = make_site(country="DE")

    def edit(raddb: Path) -> None:
        directory.asked(raddb)
        both = "if (!&control:PBKDF2-Password) {\n\t\tldap\n\t}\n\telse {\n\t\tpap\n\t}"
        path = raddb / "policy.d" / "smsotp_first_factor"
        recipe.replace_policies(path, f"smsotp_first_factor {{\n\t{both}\n}}\n")

    radiusd = site.start(edit=edit)
    log_in(site, radiusd, "erin", "s3cret", "***99")
    log_in(site, radiusd, "alice", PIN, "***67")
    for name in ("erin", "alice", "nobody"):
        assert radiusd.ask(name, "wrong").kind == "Access-Reject"


def test_sql_with_freeradius_own_tables(make_site: Callable[..., Site]) -> None:
    site = make_site()
    path = site.folder / "radius.db"
    schema = STOCK / "mods-config" / "sql" / "main" / "sqlite"
    with sqlite3.connect(path) as db:
        db.executescript((schema / "schema.sql").read_text())
        db.executescript(recipe.code("SQL", "sql"))
    db.close()

    def edit(raddb: Path) -> None:
        module = (STOCK / "mods-available" / "sql").read_text()
        for old, new in {
            'driver = "rlm_sql_null"': 'driver = "rlm_sql_sqlite"',
            'filename = "/tmp/freeradius.db"': f'filename = "{path}"',
            "${modconfdir}": str(STOCK / "mods-config"),
        }.items():
            assert old in module
            module = module.replace(old, new)
        (raddb / "mods-enabled" / "sql").write_text(module)
        # Debian has it enabled; those queries use it.
        shutil.copy(STOCK / "mods-available" / "expr", raddb / "mods-enabled")
        blocks = recipe.files("SQL")["policy.d/smsotp_first_factor"]
        recipe.replace_policies(raddb / "policy.d" / "smsotp_first_factor", blocks)

    radiusd = site.start(edit=edit)
    assert_accounts(site, radiusd, BOB, "***01")
    # Accounting goes there by itself, one row for a session.
    for status in (START, INTERIM, STOP):
        assert account(radiusd.port + 1, told(status, user=b"bob")) == {}
    with sqlite3.connect(path) as db:
        columns = "username, length(acctuniqueid), acctsessiontime, framedipaddress"
        rows = db.execute(f"SELECT {columns} FROM radacct").fetchall()
        assert rows == [("bob", 32, 3700, "192.0.2.9")]
    db.close()


def test_sql_with_tables_of_ones_own(make_site: Callable[..., Site]) -> None:
    site = make_site()
    path = site.folder / "people.db"
    hashed = recipe.section("SQL").split("'$5$")[1].partition("'")[0]
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE people (login TEXT, password TEXT, mobile TEXT, private TEXT)")
        db.executemany(
            "INSERT INTO people VALUES (?, ?, ?, ?)",
            [
                ("bob", f"$5${hashed}", "desk", "+49 170 1234502"),
                ("carol", f"$5${hashed}", None, None),
            ],
        )
    db.close()
    radiusd = site.start(
        edit=lambda raddb: recipe.install(raddb, "SQL", {"/etc/radius-smsotp/people.db": str(path)})
    )
    assert_accounts(site, radiusd, BOB, "***02")
    assert radiusd.ask("carol", "secret").kind == "Access-Reject"
    assert radiusd.ask("x' OR 'x'='x", "secret").kind == "Access-Reject"
    assert "SMSOTP-Phone" not in radiusd.log()
    # It says nothing of accounting: what the file has kept is answered.
    assert account(radiusd.port + 1, told(START, user=b"bob")) == {}


def test_a_database_that_is_down_is_not_the_users_fault(make_site: Callable[..., Site]) -> None:
    site = make_site(lockout={"failures": 1, "minutes": 15})
    replacements = {"/etc/radius-smsotp/people.db": str(site.folder / "missing" / "people.db")}
    radiusd = site.start(edit=lambda raddb: recipe.install(raddb, "SQL", replacements))
    for _ in range(2):
        reply = radiusd.ask("bob", "secret")
        assert (reply.kind, reply.message) == UNAVAILABLE
    assert site.kinds("bob") == ["first-factor-down"] * 2
    assert account(radiusd.port + 1, told(STOP, user=b"bob")) == {}


def test_a_users_file(make_site: Callable[..., Site]) -> None:
    site = make_site(
        providers={
            "demo": {"type": "folder", "path": "outbox"},
            "backup": {"type": "folder", "path": "outbox-backup"},
        }
    )

    radiusd = site.start(edit=users_file)
    assert_accounts(site, radiusd, BOB, "***01")
    reply = radiusd.ask("carol", "not-my-password")
    assert (reply.kind, reply.message) == (
        "Access-Reject",
        "A code was sent to ***02. Log in again with your PIN followed by the code.",
    )
    [sent] = eventually(lambda: list((site.folder / "outbox-backup").glob("*.json")))
    code = site_code(sent)
    assert sent.read_text("utf-8").count(f"{code} opens the door, carol.") == 1
    assert radiusd.ask("carol", f"not-my-password{code}").kind == "Access-Accept"
    # Our own accounts go on.
    assert radiusd.challenge("alice").message.endswith("***67: ")


def test_what_an_account_may_be_said_to_be(make_site: Callable[..., Site]) -> None:
    """Every return code that Debian's raddb knows stands in what is created here, too."""
    codes = dict.fromkeys(("reject", "userlock", "invalid", "fail"), "Access-Reject")
    codes |= dict.fromkeys(("ok", "updated", "noop", "notfound"), "Access-Challenge")
    said = "".join(f'\tif (&Called-Station-Id == "{one}") {{\n\t\t{one}\n\t}}\n' for one in codes)

    def edit(raddb: Path) -> None:
        path = raddb / "policy.d" / "smsotp_first_factor"
        recipe.replace_policies(path, f"smsotp_account {{\n{said}}}\n")

    radiusd = make_site().start(edit=edit)
    assert {one: radiusd.ask(called=one).kind for one in codes} == codes


def users_file(raddb: Path, more: str = "") -> None:
    """Do what the recipe says, with more entries behind its own."""
    recipe.install(raddb, "A users file", {})
    (raddb / "mods-enabled" / "files").write_text((STOCK / "mods-available" / "files").read_text())
    for name in ("accounting", "pre-proxy"):
        (raddb / "mods-config" / "files" / name).write_text("")
    with (raddb / "mods-config" / "files" / "authorize").open("a") as file:
        file.write(more)


NUMBERS = {
    "jamaica": (
        "+1 876 210 1234",
        "refused: limits.countries does not allow this number (SMSOTP-Phone is of JM, which "
        "limits.countries does not name, client local)",
        "add its country to limits.countries",
    ),
    "premium": (
        "+1 900 234 5678",
        "refused: it is a premium number, and limits.special does not name it (SMSOTP-Phone is a "
        "premium number, to which a message costs more, client local)",
        "add its prefix to limits.special",
    ),
    "nanpa": (
        "+1 500 234 5678",
        "refused: it is a free, shared-cost, personal, voicemail or company-wide number, and "
        "limits.special does not name it (SMSOTP-Phone is a free, shared-cost, personal, voicemail "
        "or company-wide number, which takes no messages, client local)",
        "add its prefix to limits.special",
    ),
}


@pytest.mark.once
def test_a_number_that_costs_more_is_refused_from_a_directory_too(
    make_site: Callable[..., Site],
) -> None:
    """Where +1 was meant for the US and Canada; as a wrong PIN to the user, and told in trace."""
    site = make_site(limits={"countries": ["+1"]})
    numbers = {"toronto": ["+1 416 555 0123"]} | {name: [one[0]] for name, one in NUMBERS.items()}
    numbers["both"] = [NUMBERS["premium"][0], "+1 416 555 0124"]
    entries = [
        f'{name} Cleartext-Password := "s3cret"'
        + "".join(f', SMSOTP-Phone += "{one}"' for one in values)
        for name, values in numbers.items()
    ]
    more = "\n" + "\n".join(entries) + "\n"
    radiusd = site.start(edit=lambda raddb: users_file(raddb, more))
    log_in(site, radiusd, "toronto", "s3cret", "***23")
    log_in(site, radiusd, "both", "s3cret", "***24")
    sent = len(site.messages())
    for name, (_, said, remedy) in NUMBERS.items():
        reply = radiusd.ask(name, "s3cret")
        assert (reply.kind, reply.message) == FAILED
        shown = command(site, "trace", name)
        assert said in shown
        assert remedy in shown
    assert len(site.messages()) == sent
    assert "value 1 of SMSOTP-Phone is a premium number" in command(site, "trace", "both")


def site_code(path: Path) -> str:
    """The code in a message."""
    found = re.search(r"\d{6}", json.loads(path.read_text("utf-8"))["text"])
    assert found
    return found[0]


def assert_accounts(site: Site, radiusd: Radiusd, people: dict[str, Any], hint: str) -> None:
    """Each logs in with the right password, and is counted and locked with a wrong one."""
    for name, password in people.items():
        assert radiusd.ask(name, "wrong").kind == "Access-Reject"
        assert site.kinds(name) == ["pin-wrong"]
        log_in(site, radiusd, name, password, hint)
    reply = radiusd.ask("nobody", "secret")
    assert (reply.kind, reply.message) == FAILED
