"""``smsotp provider``."""

from __future__ import annotations

import json
import os
import pwd
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from radius_smsotp import providers
from radius_smsotp.providers import presets
from tests.cli.installation import Installation
from tests.providers.gateway import Gateway, answers

if TYPE_CHECKING:
    from collections.abc import Iterator

PHONE = "+491701234567"


@pytest.fixture
def gateway(here: Installation) -> Iterator[Gateway]:
    """A gateway, which is the provider of that name."""
    with Gateway() as one:
        provider = {
            "type": "http",
            "url": one.url,
            "parameter": {"to": "{phone}", "text": "{message}"},
            "return_success": "ID:",
            "timeout": 1,
        }
        here.write(providers={"gateway": provider, "demo": {"type": "folder", "path": "outbox"}})
        yield one


class TestTest:
    def test_the_real_text_arrives_with_a_made_up_code(
        self, here: Installation, gateway: Gateway
    ) -> None:
        here.write(message="{code} für {name}, {minutes} min", code={"digits": 8})
        shown = here.done("provider", "test", "gateway", "--phone", "+49 170 1234567")
        [request] = gateway.requests
        assert request.query["to"] == [PHONE]
        code, _, rest = request.query["text"][0].partition(" ")
        assert code.isdigit()
        assert len(code) == 8
        assert rest == "für test, 5 min"
        assert shown.startswith("gateway: accepted after 0.")
        assert "s, to ***67" in shown
        assert code not in shown
        assert PHONE not in shown

    def test_it_sends_where_a_login_would(self, here: Installation, gateway: Gateway) -> None:
        """A premium number costs as much in a test."""
        result = here.run("provider", "test", "gateway", "--phone", "+1 900 234 5678")
        assert result.exit_code == 2
        assert "the phone number is a premium number" in result.output
        assert gateway.requests == []

    def test_what_others_can_read_on_the_way_is_said(
        self, here: Installation, gateway: Gateway
    ) -> None:
        """Where somebody looks who has just written it."""
        assert "warning" not in here.done("provider", "test", "gateway", "--phone", PHONE)
        text = here.settings_path.read_text("utf-8")
        here.settings_path.write_text(text.replace("localhost", "0.0.0.0"), "utf-8")
        [line] = [n for n, one in enumerate(text.splitlines(), 1) if "url: http" in one]
        shown = here.done("provider", "test", "gateway", "--phone", PHONE)
        assert (
            f"warning: smsotp.yaml, line {line}: providers.gateway.url: numbers, codes and "
            "passwords go to 0.0.0.0 in the clear; write https://, if the gateway takes it, or go "
            "through a tunnel (VPN, ssh)"
        ) in shown.splitlines()

    def test_letters_that_a_gateway_is_not_told_of_are_said(
        self, here: Installation, gateway: Gateway
    ) -> None:
        """They arrive as question marks, and the verdict is "accepted" all the same."""
        kannel = {"type": "http", "url": f"{gateway.url}/cgi-bin/sendsms"}
        kannel["parameter"] = {"to": "{phone}", "text": "{message}"}
        here.write(providers={"kannel": kannel})
        for language, is_told in (("en", False), ("ru", True)):
            options = ("--phone", PHONE, "--language", language)
            result = here.run("provider", "test", "kannel", *options)
            assert ("add parameter_ucs2: {coding: 2}" in result.output) == is_told
        assert "1 SMS, 47 of 70 characters (ucs2)" in result.output

    @pytest.mark.parametrize(
        ("sections", "options", "text"),
        [
            ({"code": {"lifetime": 30}}, (), "is your login code. It is valid for 1 minutes."),
            ({"code": {"lifetime": 119}}, (), "is your login code. It is valid for 1 minutes."),
            ({"language": "ru"}, (), "— ваш код для входа. Действителен 5 мин."),
            ({}, ("--language", "de-AT"), "ist Ihr Anmeldecode. Er gilt 5 Minuten."),
            ({"languages": {"tlh": {"message": "{code} {minutes}"}}}, ("--language", "tlh"), "5"),
        ],
    )
    def test_the_text_is_that_of_a_login(
        self,
        here: Installation,
        gateway: Gateway,
        sections: dict[str, Any],
        options: tuple[str, ...],
        text: str,
    ) -> None:
        here.write(**sections)
        here.done("provider", "test", "gateway", "--phone", PHONE, *options)
        [request] = gateway.requests
        assert request.query["text"][0].partition(" ")[2] == text

    def test_the_message_id_of_the_provider_is_shown(self, here: Installation) -> None:
        shown = here.done("provider", "test", "demo", "--phone", PHONE)
        [file] = here.outbox.iterdir()
        assert shown.strip().endswith(f"; message id {file.stem}")

    @pytest.mark.parametrize(
        ("status", "body", "verdict"),
        [(200, "ERR: no credit", "refused"), (503, "later", "busy"), (500, "oops", "unavailable")],
    )
    def test_what_is_not_accepted_ends_with_1_and_what_the_provider_said(
        self, here: Installation, gateway: Gateway, status: int, body: str, verdict: str
    ) -> None:
        gateway.behave = answers(status, body)
        result = here.run("provider", "test", "gateway", "--phone", PHONE)
        assert result.exit_code == 1
        assert result.output.startswith(f"gateway: {verdict} after 0.")
        assert PHONE not in result.output

    def test_silence_is_unknown_after_the_time_limit(
        self, here: Installation, gateway: Gateway
    ) -> None:
        gateway.behave = lambda call: call.wait()
        result = here.run("provider", "test", "gateway", "--phone", PHONE)
        assert result.exit_code == 1
        assert result.output.startswith("gateway: unknown after 1.")

    def test_it_uses_that_one_provider_and_no_other(
        self, here: Installation, gateway: Gateway
    ) -> None:
        gateway.behave = answers(503)
        here.run("provider", "test", "gateway", "--phone", PHONE)
        assert not here.outbox.exists()
        with here.store.read() as tx:
            assert tx.breakers() == {}

    def test_wrong_usage_sends_nothing(self, here: Installation, gateway: Gateway) -> None:
        for arguments, fault in (
            (("gsm", "--phone", PHONE), "the provider 'gsm' is not one of gateway, demo"),
            (("gateway", "--phone", "0170"), "the phone number has no country code"),
            (("gateway",), "Missing option '--phone'"),
            (("gateway", "--phone", PHONE, "--language", "tlh"), "the language 'tlh' is not one"),
        ):
            result = here.run("provider", "test", *arguments)
            assert result.exit_code == 2
            assert fault in result.output
        assert gateway.requests == []

    def test_as_root_it_sends_with_the_rights_of_the_owner(self) -> None:
        """Else a folder or a lock that it makes would stand in FreeRADIUS's way."""
        with tempfile.TemporaryDirectory() as name:
            Path(name).chmod(0o711)
            here = Installation(Path(name) / "site", "--owner", "nobody")
            here.done("provider", "test", "demo", "--phone", PHONE)
            [file] = here.outbox.iterdir()
            owners = {pwd.getpwuid(path.stat().st_uid).pw_name for path in (file, here.outbox)}
            assert owners == {"nobody"}
            assert os.getresuid() == (0, 0, 0)
            here.close()


class TestList:
    def test_they_stand_in_the_order_in_which_they_are_tried(
        self, here: Installation, gateway: Gateway
    ) -> None:
        here.write(delivery={"order": ["demo"]})
        lines = here.done("provider", "list").splitlines()
        assert [line.split(maxsplit=4)[0] for line in lines[1:3]] == ["demo", "gateway"]
        assert lines[1].endswith("in use")
        assert lines[2].endswith("only for accounts that name it")
        assert lines[-1] == f"Types: {', '.join(providers.TYPES)}"

    def test_one_that_is_skipped_says_since_when_and_why(
        self, here: Installation, gateway: Gateway
    ) -> None:
        now = datetime.now(UTC)
        with here.store.write() as tx:
            tx.put_breaker("gateway", "open", now, "the gateway answered 503")
            tx.put_breaker("demo", "closed", now, "")
        shown = here.done("provider", "list")
        assert f"skipped since {now.astimezone():%Y-%m-%d %H:%M:%S %Z}: the gateway" in shown
        records = json.loads(here.done("provider", "list", "--json"))
        assert records["types"] == list(providers.TYPES)
        first, second = records["providers"]
        assert first == {
            "name": "gateway",
            "type": "http",
            "timeout": 1.0,
            "in_order": True,
            "skipped_since": now.isoformat(timespec="milliseconds"),
            "reason": "the gateway answered 503",
        }
        assert (second["skipped_since"], second["reason"]) == (None, "")


class TestPreset:
    def test_without_a_name_all_are_listed(self, here: Installation) -> None:
        assert here.done("provider", "preset").split() == presets.names()

    def test_what_it_prints_can_be_pasted_under_providers(self, here: Installation) -> None:
        shown = here.done("provider", "preset", presets.names()[0])
        pasted = yaml.safe_load(f"providers:\n{shown}")
        assert all("type" in one for one in pasted["providers"].values())

    def test_it_needs_no_settings(self, here: Installation) -> None:
        here.settings_path.unlink()
        here.done("provider", "preset")

    def test_an_unknown_name_is_wrong_usage_and_says_what_may_be_meant(
        self, here: Installation
    ) -> None:
        result = here.run("provider", "preset", "twillio")
        assert result.exit_code == 2
        assert "there is no preset 'twillio'; did you mean 'twilio'?" in result.output


def test_a_mail_to_a_user_is_tried_at_an_address(here: Installation) -> None:
    """A folder takes it, as it takes an SMS."""
    told = here.done("provider", "test", "demo", "--email", "Alice.B@Example.org")
    assert "demo: accepted" in told
    assert "to A…@e….org" in told
    [message] = here.messages()
    assert message["email"] == "Alice.B@example.org"
    assert "phone" not in message
    both = here.run("provider", "test", "demo", "--email", "a@b.org", "--phone", "+491701234567")
    assert both.exit_code == 2
    assert "is no mail address" in here.run("provider", "test", "demo", "--email", "x").output
