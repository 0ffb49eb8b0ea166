"""``smsotp check``: what it finds, and what it lets pass."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import sqlite3
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import CliRunner

from radius_smsotp.cli import smsotp
from radius_smsotp.cli.check import host
from radius_smsotp.cli.check import raddb as check_raddb
from radius_smsotp.cli.check.raddb import version_findings
from radius_smsotp.model import pin
from radius_smsotp.model.records import Account, Event
from radius_smsotp.raddb import freeradius
from radius_smsotp.settings import keyring
from tests.cli.installation import OUR_PYTHON, ROUNDS, stand_in
from tests.cli.test_courier import queue
from tests.cli.test_prune import add_events
from tests.providers.gateway import Gateway
from tests.support.ports import free_port

if TYPE_CHECKING:
    from radius_smsotp.cli.check.finding import Finding
    from tests.cli.installation import Installation

PHONE = "+491701234567"
# The installations of the tests belong to whoever runs them.
OURSELVES = (*(("--user", "root") if os.geteuid() == 0 else ()), "--raddb", "/no/such/raddb")

OF_THE_MACHINE = "only write files|is not kept by NTP|lies in memory"
"""What each of these installations has, and what the machine may have that the tests run on."""


def check(here: Installation) -> tuple[int, list[dict[str, str]]]:
    """Exit code and problems, without that on the folder provider of every installation."""
    result = here.run("check", "--json", *OURSELVES)
    found = [one for one in json.loads(result.output) if one["level"] != "note"]
    return result.exit_code, [one for one in found if not re.search(OF_THE_MACHINE, one["fault"])]


def only(here: Installation) -> dict[str, str]:
    """The one finding."""
    [found] = check(here)[1]
    return found


class TestWhole:
    @staticmethod
    def line(here: Installation, key: str) -> int:
        """Where a key stands in the settings."""
        lines = here.settings_path.read_text("utf-8").splitlines()
        [found] = [number for number, line in enumerate(lines, 1) if f"{key}:" in line]
        return found

    def test_a_new_installation_has_no_error(self, here: Installation) -> None:
        """Only a warning that its provider writes files."""
        result = here.run("check", *OURSELVES)
        assert result.exit_code == 0
        assert (
            "warning  smsotp.yaml: providers: no SMS is sent: all of them only write files; "
            "add one; see 'smsotp provider preset'"
        ) in result.output.splitlines()
        assert check(here) == (0, [])

    def test_nothing_wrong_is_said_too(self, here: Installation) -> None:
        (here.folder / "send.sh").write_text("#!/bin/sh\n")
        (here.folder / "send.sh").chmod(0o700)
        here.write(providers={"own": {"type": "script", "script": "send.sh"}})
        result = here.run("check", *OURSELVES)
        assert result.exit_code == 0
        kept = "No problem found." if host.is_clock_kept() is not False else "1 warning."
        assert result.output.splitlines()[-1].startswith(kept)

    def test_each_finding_has_level_path_fault_and_remedy(self, here: Installation) -> None:
        here.write(pin={"iterations": 1000})
        assert only(here) == {
            "level": "warning",
            "path": f"smsotp.yaml, line {self.line(here, 'iterations')}: pin.iterations",
            "fault": "1000 rounds are few",
            "remedy": "take 10000 or more",
            "why": "Who steals the store, and the key file as well, finds PINs by trying them all.",
            "line": "",
            "page": "Messages: Key, store, accounts",
        }

    def test_pins_that_may_be_too_short(self, here: Installation) -> None:
        here.write(pin={"iterations": ROUNDS, "shortest": 3})
        line = self.line(here, "shortest")
        assert only(here)["path"] == f"smsotp.yaml, line {line}: pin.shortest"
        assert only(here)["fault"] == "PINs of 3 characters may be chosen"
        assert only(here)["remedy"] == "take 4 or more"
        assert only(here)["why"] == "The lock-out lets 960 of them be tried in a day."

    def test_what_others_can_read_on_the_way_is_warned_of_with_its_place(
        self, here: Installation
    ) -> None:
        """Nobody listens there, which is an error of its own."""
        port = free_port()
        entry = {
            "type": "http",
            "URL": f"http://0.0.0.0:{port}/send",
            "PARAMETER": {"to": "{phone}", "text": "{message}", "key": "s3cret"},
        }
        server = {"server": f"0.0.0.0:{port}", "username": "me", "password": "s3cret"}
        mail = {"type": "smtp", "identifier": "office", "mailto": "{phone}@sms.example.org"}
        here.write(
            providers={"GW": entry, "one": mail, "two": mail}, smtp_servers={"office": server}
        )
        result = here.run("check", *OURSELVES)
        assert "s3cret" not in result.output
        _, found = check(here)
        weak = [one for one in found if "in the clear" in one["fault"]]
        assert [(one["level"], one["path"], one["fault"], one["remedy"]) for one in weak] == [
            (
                "warning",
                f"smsotp.yaml, line {self.line(here, 'URL')}: providers.GW.url",
                "numbers, codes and passwords go to 0.0.0.0 in the clear",
                "write https://, if the gateway takes it, or go through a tunnel (VPN, ssh)",
            ),
            (
                "warning",
                f"smsotp.yaml, line {self.line(here, 'server')}: smtp_servers.office.server",
                "numbers, codes and the password go to 0.0.0.0 in the clear",
                "set tls: starttls or tls: tls, or go through a tunnel (VPN, ssh)",
            ),
        ]
        assert {one["why"] for one in weak} == {
            "Whoever is on the way reads codes, or sends messages at your expense."
        }

    def test_a_folder_that_was_left_beside_a_gateway(self, here: Installation) -> None:
        """It comes first in new settings, and takes every message."""
        (here.folder / "send.sh").write_text("#!/bin/sh\n")
        (here.folder / "send.sh").chmod(0o700)
        own = {"type": "script", "script": "send.sh"}
        here.write(providers={"demo": {"type": "folder", "path": "outbox"}, "own": own})
        found = only(here)
        assert found["level"] == "warning"
        line = self.line(here, "demo")
        assert found["path"] == f"smsotp.yaml, line {line}: providers.demo"
        assert found["fault"] == "sends no SMS: it writes messages, codes and all, into files"
        values = yaml.safe_load(here.settings_path.read_text("utf-8"))
        here.write(delivery=values["delivery"] | {"order": ["own"]})
        assert check(here) == (0, [])

    def test_a_weak_setting_is_no_error(self, here: Installation) -> None:
        """A site that knows what it does can live with it."""
        parameter = {"to": "{phone}", "text": "{message}"}
        with Gateway() as gateway:
            # Which leads to this host too, but does not look like it.
            url = gateway.url.replace("localhost", "0.0.0.0")
            here.write(providers={"gw": {"type": "http", "url": url, "parameter": parameter}})
            code, [found] = check(here)
        assert (code, found["level"]) == (0, "warning")
        assert found["fault"] == "numbers, codes and passwords go to 0.0.0.0 in the clear"

    def test_several_faults_are_all_told_at_once(self, here: Installation) -> None:
        here.write(delivery={"wait": 5}, message="x" * 200 + "{code}")
        (here.folder / "key").chmod(0o640)
        (here.folder / "smsotp.db").unlink()
        code, found = check(here)
        assert code == 3
        paths = [one["path"].rpartition("/")[2] for one in found]
        assert paths == ["smsotp.yaml: delivery.wait", "key)", "smsotp.db)", "smsotp.yaml: message"]

    def test_nothing_is_sent_and_nothing_made(self, here: Installation) -> None:
        (here.folder / "smsotp.db").unlink()
        check(here)
        assert not (here.folder / "smsotp.db").exists()
        assert list(here.outbox.iterdir()) == []


class TestErrors:
    """What keeps logins from working ends with 3."""

    def test_settings(self, here: Installation) -> None:
        here.write(code={"digits": 3}, colour="red")
        code, found = check(here)
        assert code == 3
        assert [(one["path"].partition(": ")[2], one["line"]) for one in found] == [
            ("code.digits", f"{TestWhole.line(here, 'digits')} | digits: 3"),
            ("colour", ""),
        ]

    def test_settings_that_are_not_there(self, here: Installation) -> None:
        here.settings_path.unlink()
        code, [found] = check(here)
        assert (code, found["fault"]) == (3, "there is no such file")

    def test_a_key_that_is_gone(self, here: Installation) -> None:
        (here.folder / "key").unlink()
        assert check(here)[0] == 3
        assert only(here)["fault"] == "there is no such file"
        assert "smsotp init" in only(here)["remedy"]

    def test_a_key_that_is_not_the_stores(self, here: Installation) -> None:
        known = keyring.read(here.folder / "key").current
        (here.folder / "key").write_text("k1 " + "ab" * 32 + "\n")
        (here.folder / "key").chmod(0o600)
        assert check(here)[0] == 3
        assert only(here)["fault"] == f"the store was used with another key ({known})"
        assert "from a backup or from the server where 'smsotp key" in only(here)["remedy"]

    def test_pins_whose_key_is_missing(self, here: Installation) -> None:
        """They are named: each has to be set again if the key is lost."""
        for name in ("alice", "bob"):
            put(here, Account(name, PHONE, hashed()))
        path = here.folder / "key"
        keyring.add(path, datetime.now(UTC), for_pins=True)
        old, new = keyring.read(path), keyring.read(path).sealing
        keyring.remove(path, [one for one in old.pin_keys if one not in old.keys][1])
        put(here, Account("carol", PHONE, hashed()))
        code, [found, more] = check(here)
        assert (code, more["level"]) == (3, "error")
        assert (
            more["fault"] == "2 accounts have PINs sealed with a key that is not here: alice, bob"
        )
        assert "set these PINs again" in more["remedy"]
        assert found["fault"].startswith("the store is used with another key too: p")
        assert new not in found["fault"]

    def test_a_store_that_is_damaged(self, here: Installation) -> None:
        (here.folder / "smsotp.db").write_bytes(b"not a store" * 1000)
        assert check(here)[0] == 3
        assert "the store is no SQLite file" in only(here)["fault"]

    def test_a_store_of_a_later_version(self, here: Installation) -> None:
        with contextlib.closing(sqlite3.connect(here.folder / "smsotp.db")) as db:
            db.execute("PRAGMA user_version = 999")
        assert check(here)[0] == 3
        assert "999" in only(here)["fault"]

    def test_what_the_providers_find(self, here: Installation) -> None:
        (here.folder / "file").touch()
        here.write(providers={"demo": {"type": "folder", "path": "file/folder"}})
        assert check(here)[0] == 3
        assert only(here)["path"] == "providers.demo.path"

    def test_a_preset_that_is_not_filled_in(self, here: Installation) -> None:
        text = here.settings_path.read_text("utf-8")
        text = text.replace("path: outbox", "path: outbox/YOUR-NAME # YOUR-NAME")
        here.settings_path.write_text(text + "# YOUR-COMMENT\n", "utf-8")
        assert check(here)[0] == 3
        assert only(here)["fault"] == "YOUR-NAME is still to be filled in"
        assert only(here)["path"].startswith("smsotp.yaml, line ")

    @pytest.mark.parametrize(
        ("courier", "remedy"),
        [("internal", "start FreeRADIUS"), ("external", "start 'smsotp courier'")],
    )
    def test_messages_that_nobody_sends(
        self, here: Installation, courier: str, remedy: str
    ) -> None:
        here.write(delivery={"courier": courier})
        queue(here, 2)
        assert check(here) == (0, [])
        wait(here, 15)
        assert check(here)[0] == 3
        assert only(here)["fault"] == "2 messages wait, and nobody sends them"
        assert only(here)["remedy"] == remedy


class TestWarnings:
    """What logins work with ends with 0."""

    def warned(self, here: Installation) -> dict[str, str]:
        code, [found] = check(here)
        assert (code, found["level"]) == (0, "warning")
        return found

    def test_a_client_that_makes_noise(self, here: Installation) -> None:
        """Within the last hour, each with the stations that are known."""
        now = datetime.now(UTC)
        noise = (
            ("vpn", "", 70, 30, 0),
            ("vpn", "192.0.2.7", 45, 2000, 0),
            ("wifi", "", 1, 0, 50),
            ("wifi", "", 999, 999, 61),
        )
        with here.store.write() as tx:
            for client, station, failures, held, minutes in noise:
                at, told = now - timedelta(minutes=minutes), {"failures": failures, "held": held}
                tx.add_event(Event("noise", at, "", "", client, station, {**told}))
        code, found = check(here)
        assert (code, [one["level"] for one in found]) == (0, ["warning"] * 2)
        assert [(one["path"], one["fault"]) for one in found] == [
            (
                "client vpn",
                "115 wrong PINs or unknown names in an hour, 2,030 not looked at, from 192.0.2.7",
            ),
            ("client wifi", "1 wrong PINs or unknown names in an hour, 0 not looked at"),
        ]

    def test_a_trail_that_nobody_cleans_up(
        self, here: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What should have gone days ago is still there; or there is more than shall be."""
        monkeypatch.setattr(freeradius, "UNITS", (tmp_path,))
        add_events(here, 1, days=94)
        found = self.warned(here)
        assert found["path"] == "smsotp.yaml: audit"
        assert found["fault"] == "nobody cleans up: 1 events, the oldest 94 days old"
        enable = "systemctl enable --now smsotp-prune.timer"
        assert found["remedy"].endswith(f"--units /etc/systemd/system, then {enable}")
        (tmp_path / "smsotp-prune.timer").touch()
        assert self.warned(here)["remedy"] == f"let 'smsotp prune' run once a day: {enable}"
        here.done("prune")
        assert check(here) == (0, [])
        here.write(audit={"events": 1000})
        add_events(here, 1101, days=1)
        assert self.warned(here)["fault"].startswith("nobody cleans up: 1,101 events")

    def test_a_trail_that_is_nearly_full(self, here: Installation) -> None:
        here.write(audit={"events": 1000})
        add_events(here, 900, days=2)
        assert check(here) == (0, [])
        add_events(here, 1, days=0)
        found = self.warned(here)
        assert found["fault"] == "901 of 1,000 events, the oldest 2 days old"
        assert found["remedy"].startswith("raise audit.events")

    def test_a_text_of_more_than_one_sms(self, here: Installation) -> None:
        here.write(message="{code} " + "x" * 154)
        found = self.warned(here)
        assert found["fault"] == "2 SMS, 161 of 306 characters (gsm7) each time: one takes 160"
        here.write(message="{code} " + "x" * 153)
        assert check(here) == (0, [])

    def test_a_text_of_one_sms_is_told_with_its_alphabet(self, here: Installation) -> None:
        for given, said in [
            ("{code} is it", "12 of 160 characters (gsm7)"),
            ("{code} ș", "8 of 70"),
        ]:
            here.write(message=given)
            assert (
                f"note     smsotp.yaml: message: 1 SMS, {said}"
                in here.run("check", *OURSELVES).output
            )

    def test_texts_of_the_languages_that_logins_are_in(self, here: Installation) -> None:
        """One that no login shows is not told of."""
        here.write(language="ru", code={"lifetime": 30})
        put(here, Account("anna", PHONE, hashed(), language="de-at"))
        told = here.run("check", *OURSELVES).output
        assert "smsotp.yaml: message, shipped (ru): 1 SMS, " in told
        assert "smsotp.yaml: message, shipped (de): 1 SMS, " in told
        assert "smsotp.yaml: message: " not in told

    def test_a_letter_that_halves_the_room(self, here: Installation) -> None:
        here.write(message="{code} è il codice, șapte " + "x" * 60)
        found = self.warned(here)
        told = "2 SMS, 86 of 134 characters (ucs2) each time: one takes 70 if it holds ș"
        assert found["fault"] == told
        here.write(message="{code} è il codice, șapte " + "x" * 60, sms={"transliterate": True})
        assert check(here) == (0, [])

    def test_a_text_that_is_too_long_with_the_longest_name_only(self, here: Installation) -> None:
        here.write(message="{code} {name} " + "x" * 100)
        assert check(here) == (0, [])
        put(here, Account("n" * 60, PHONE, hashed()))
        assert self.warned(here)["path"] == "smsotp.yaml: message"

    def test_the_text_of_one_client(self, here: Installation) -> None:
        here.write(clients={"vpn": {"message": "{code}" + "x" * 200}})
        assert self.warned(here)["path"] == "smsotp.yaml: clients.vpn.message"

    @pytest.mark.parametrize(
        ("sections", "path"),
        [
            ({"delivery": {"wait": 4}}, "smsotp.yaml: delivery.wait"),
            ({"clients": {"vpn": {"wait": 5}}}, "smsotp.yaml: clients.vpn.wait"),
        ],
    )
    def test_a_wait_that_clients_do_not_sit_out(
        self, here: Installation, sections: dict[str, Any], path: str
    ) -> None:
        here.write(**sections)
        assert self.warned(here)["path"] == path
        assert self.warned(here)["fault"] == "many clients ask again or give up after 3 s"

    def test_a_key_that_another_server_has_and_this_one_lacks(self, here: Installation) -> None:
        own = (here.folder / "key").read_text()
        here.done("key", "rotate", "--in", "60")
        keys = keyring.read(here.folder / "key")
        new = {next(iter(keys.keys)), next(iter(keys.pin_keys))}
        (here.folder / "key").write_text(own)
        code, found = check(here)
        faults = {
            one["fault"].rpartition("the store is used with another key too: ")[2] for one in found
        }
        assert (code, {one["level"] for one in found}, faults) == (0, {"warning"}, new)
        here.done("key", "retire", *new)
        assert check(here) == (0, [])

    def test_a_pin_that_is_not_sealed(self, here: Installation) -> None:
        """It is of an earlier version."""
        with here.store.write() as tx:
            tx.put_account(Account("a", PHONE, hashed()), datetime.now(UTC))
        found = self.warned(here)
        assert found["fault"] == "1 account has a PIN hash that is not sealed"
        assert found["remedy"] == f"'smsotp init {here.folder}' seals it"
        here.done("init", str(here.folder))
        assert check(here) == (0, [])

    def test_rounds_of_passwords_are_no_fault(self, here: Installation) -> None:
        """But more than PINs need, and a login takes so much longer."""
        here.write(pin={"iterations": 210_000})
        assert check(here) == (0, [])
        told = here.run("check", *OURSELVES).output
        assert "pin.iterations: 210000 rounds, as passwords should have; 10000 do for PINs" in told

    def test_settings_that_everybody_can_read(self, here: Installation) -> None:
        here.settings_path.chmod(0o644)
        assert self.warned(here)["remedy"] == f"chmod o= {here.settings_path}"

    @pytest.mark.parametrize(
        ("account", "fault"),
        [
            (Account("a", None, "hash"), "1 account has no phone number: no code can be sent"),
            (
                Account("a", PHONE, None),
                "1 account has no PIN: FreeRADIUS must check the first factor elsewhere",
            ),
            (
                Account("a", PHONE, "hash", provider="gone"),
                "1 account has a provider that is not in the settings any more",
            ),
            (
                Account("a", "+49491701234567890", "hash"),
                "1 account has a phone number that would be refused today: a (***90)",
            ),
            (Account("a", PHONE, "weak"), "1 account has a PIN of fewer than 10000 rounds"),
        ],
        ids=["phone", "pin", "provider", "number", "rounds"],
    )
    def test_an_account_that_lacks_something(
        self, here: Installation, account: Account, fault: str
    ) -> None:
        hashes = {"hash": hashed(), "weak": hashed(9999), None: None}
        put(here, Account(account.name, account.phone, hashes[account.pin_hash], account.provider))
        put(here, Account("whole", PHONE, hashed(), "demo"))
        assert self.warned(here)["fault"] == fault

    def test_accounts_whose_numbers_the_limits_refuse(self, here: Installation) -> None:
        here.write(limits={"countries": ["+1"]})
        for name in "abcdefg":
            put(here, Account(name, "+18762101234", hashed()))
        put(here, Account("h", "+19002345678", hashed()))
        put(here, Account("i", "+14165550123", hashed()))
        code, found = check(here)
        assert code == 0
        assert [(one["fault"], one["remedy"]) for one in found] == [
            (
                "1 account has a phone number that is a premium number, to which a message costs "
                "more: h (***78)",
                "correct it, or name its prefix in limits.special",
            ),
            (
                "7 accounts have a phone number that is of JM, which limits.countries does not "
                "name: a (***34), b (***34), c (***34), d (***34), e (***34), …",
                "correct it, or name the country there",
            ),
        ]
        assert {one["why"] for one in found} == {"They cannot log in."}

    def test_several_are_counted(self, here: Installation) -> None:
        for number in range(3):
            put(here, Account(f"user{number}", PHONE))
        assert self.warned(here)["fault"].startswith("3 accounts have no PIN")


@pytest.mark.slow
class TestFreeRadius:
    @pytest.mark.parametrize("version", ["3.0.22", "3.2.1", "3.2.8"])
    def test_a_version_that_works(
        self, here: Installation, tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", stand_in(tmp_path, version))
        server = freeradius.installed()
        found = version_findings(server, tmp_path, here.settings_path)
        assert [one.level for one in found] == ["note"]

    @pytest.mark.parametrize("version", ["3.2.9", "3.2.10"])
    def test_a_version_that_loses_replies(
        self, here: Installation, tmp_path: Path, version: str
    ) -> None:
        path = stand_in(tmp_path, version)
        done = here.run("check", *OURSELVES, PATH=path)
        assert done.exit_code == 3
        assert f"error    FreeRADIUS {version}: loses every reply of a Python module" in done.output
        assert "(issue 5911); install 3.2.11 or later" in done.output

    def test_one_that_is_mended_is_known_by_its_module(
        self, here: Installation, tmp_path: Path
    ) -> None:
        """And its debug output is for nobody else."""
        module = OUR_PYTHON + b"\0FAILED converting attribute %s with value %s"
        done = here.run("check", *OURSELVES, PATH=stand_in(tmp_path, "3.2.10", module))
        assert done.exit_code == 0
        assert "note     FreeRADIUS 3.2.10: is one that this works on" in done.output
        assert "shows PINs and their hashes in debug mode (-X)" in done.output

    @pytest.mark.parametrize("how", ["radiusd.conf", "default"])
    def test_in_debug_mode_no_reply_is_lost(
        self,
        here: Installation,
        tmp_path: Path,
        how: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """What `smsotp check` names as a stopgap, and what it costs."""
        monkeypatch.setenv("PATH", stand_in(tmp_path / "server", "3.2.10"))
        server = freeradius.installed()
        options = tmp_path / "default"
        monkeypatch.setattr(check_raddb, "OPTIONS", (str(options),))

        def found() -> Finding:
            [one] = version_findings(server, tmp_path, here.settings_path)
            return one

        (tmp_path / "radiusd.conf").write_text("debug_level = 0\n# debug_level = 1\n")
        options.write_text('#FREERADIUS_OPTIONS="-x"\nFREERADIUS_OPTIONS=""\n')
        assert found().level == "error"
        assert "until then write 'debug_level = 1' into radiusd.conf" in found().remedy
        assert found().remedy.endswith("are then in the log, PINs and codes are not")
        if how == "default":
            options.write_text('FREERADIUS_OPTIONS="-fx"\n')
        else:
            (tmp_path / "radiusd.conf").write_text("debug_level = 1\n")
        assert found().level == "warning"
        assert found().remedy.endswith("; then leave debug mode")

    def test_a_version_that_cannot_read_the_hashes(
        self, here: Installation, tmp_path: Path
    ) -> None:
        put(here, Account("alice", PHONE, hashed()))
        done = here.run("check", *OURSELVES, PATH=stand_in(tmp_path, "3.0.21"))
        assert done.exit_code == 3
        assert "FreeRADIUS 3.0.21: cannot read the PIN hashes; install 3.0.22" in done.output

    def test_the_module_for_python_is_missing(self, here: Installation, tmp_path: Path) -> None:
        done = here.run("check", *OURSELVES, PATH=stand_in(tmp_path, "3.2.1", None))
        assert done.exit_code == 3
        assert "its module python3 is missing" in done.output
        assert "apt-get install freeradius-python3" in done.output

    def test_it_embeds_another_python(self, here: Installation, tmp_path: Path) -> None:
        path = stand_in(tmp_path, "3.2.1", b"\0libpython3.9.so.1.0\0")
        done = here.run("check", *OURSELVES, PATH=path)
        assert done.exit_code == 0
        own = f"3.{sys.version_info.minor}"
        assert f"runs Python 3.9, this program runs on Python {own}" in done.output

    def test_two_instances_abort_an_older_version(self, here: Installation, tmp_path: Path) -> None:
        raddb = make_raddb(tmp_path, "smsotp", "mine")
        done = here.run("check", *OURSELVES, "--raddb", str(raddb))
        assert done.exit_code == 3
        assert (
            f"error    {raddb}/mods-enabled: 2 python3 instances, mine and smsotp, abort this "
            "version at the start (issue 5111); remove file-mine there, or install 3.2.7 or later"
        ) in done.output.splitlines()
        (raddb / "mods-enabled" / "file-mine").unlink()
        assert here.run("check", *OURSELVES, "--raddb", str(raddb)).exit_code == 0

    def test_what_an_upgrade_has_made_possible(self, here: Installation, tmp_path: Path) -> None:
        """With 3.2.7 all waiting leaves FreeRADIUS's lock."""
        raddb = make_raddb(tmp_path, "smsotp")
        words = ("check", *OURSELVES, "--raddb", str(raddb))
        path = stand_in(tmp_path, "3.2.7")
        done = here.run(*words, PATH=path)
        for name in ("smsotp_delivery", "smsotp_disk"):
            assert f"{name} is not enabled; smsotp raddb install --raddb {raddb}" in done.output
        make_raddb(tmp_path, "smsotp_delivery", "smsotp_disk", "mine")
        done = here.run(*words, PATH=path)
        assert done.exit_code == 0
        assert f"{raddb}/mods-enabled" not in done.output

    def test_it_is_not_installed(self, here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "")
        monkeypatch.setattr(freeradius, "PLACES", ())
        code, [found] = check(here)
        assert (code, found["fault"]) == (3, "is not installed here")

    @pytest.mark.server
    def test_the_one_of_this_machine_works(self, here: Installation) -> None:
        """It may embed another Python than the tests run on."""
        assert check(here)[0] == 0


class TestRights:
    def test_root_finds_what_the_user_of_freeradius_cannot_read(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "site"
            Path(name).chmod(0o711)
            options = ("check", "--user", "nobody", "--json")
            config = ("--config", str(folder / "smsotp.yaml"), *options)
            CliRunner().invoke(smsotp, ["init", str(folder), "--owner", "nobody"])
            assert CliRunner().invoke(smsotp, config).exit_code == 0
            # What providers make when they are looked at belongs to that user as well.
            assert pwd.getpwuid((folder / "outbox").stat().st_uid).pw_name == "nobody"
            os.chown(folder / "key", 0, 0)
            os.chown(folder / "smsotp.db", 0, 0)
            result = CliRunner().invoke(smsotp, config)
            faults = [one["fault"] for one in json.loads(result.output) if one["level"] == "error"]
            assert result.exit_code == 3
            assert faults[0] == "cannot be read (Permission denied)"
            assert "the store cannot be opened" in faults[1]
            assert os.getresuid() == (0, 0, 0)

    def test_an_unknown_user_is_wrong_usage(self, here: Installation) -> None:
        assert here.run("check", "--user", "nobody-x").exit_code == 2


def make_raddb(folder: Path, *instances: str) -> Path:
    """A raddb with these python3 instances enabled, each in a file of its own."""
    enabled = folder / "raddb" / "mods-enabled"
    enabled.mkdir(parents=True, exist_ok=True)
    for name in instances:
        (enabled / f"file-{name}").write_text(f"# python3 x {{\npython3 {name} {{\n}}\n")
    return folder / "raddb"


def put(here: Installation, account: Account) -> None:
    """Put an account into the store, its PIN's hash sealed."""
    if account.pin_hash is not None:
        keys = keyring.read(here.folder / "key")
        account = replace(account, pin_hash=keys.seal_pin(account.name, account.pin_hash))
    with here.store.write() as tx:
        tx.put_account(account, datetime.now(UTC))


def hashed(rounds: int = 10_000) -> str:
    """A PIN's hash."""
    return pin.digest("1234", b"0123456789abcdef", rounds)


def wait(here: Installation, seconds: int) -> None:
    """Let so much time have passed for the messages that wait."""
    with here.store.write() as tx:
        now = datetime.now(UTC)
        for one, message in tx.unsent(now, 100):
            since = now - timedelta(seconds=seconds)
            tx.save_message(replace(message, lease_until=since))
            # No method does that: no challenge ever gets older than it is.
            sql = "UPDATE challenge SET created_at = ? WHERE transaction_id = ?"
            tx._db.execute(sql, (since.timestamp(), one.transaction_id))
