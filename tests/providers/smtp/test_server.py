"""Settings of the provider ``smtp`` and of the section ``smtp_servers``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from radius_smsotp.providers.smtp.provider import Settings, validate_servers
from tests.providers.smtp.mail_gateway import old_form
from tests.providers.smtp.mail_server import PASSWORD

if TYPE_CHECKING:
    pass


class TestSettings:
    def faults(self, **settings: Any) -> str:
        given = {"type": "smtp", "identifier": "office", "mailto": "a@example.org", **settings}
        with pytest.raises(ValidationError) as caught:
            Settings.model_validate(given)
        return str(caught.value)

    @pytest.mark.parametrize(
        ("entry", "expected"),
        [
            ({"server": "smtps://mail.example.org"}, ("mail.example.org", 465, "tls")),
            ({"server": "smtps://mail.example.org:1465"}, ("mail.example.org", 1465, "tls")),
            ({"server": "smtp+tls://mail.example.org/"}, ("mail.example.org", 587, "starttls")),
            ({"server": "smtp://mail.example.org"}, ("mail.example.org", 25, "none")),
            ({"server": "mail.example.org"}, ("mail.example.org", 25, "none")),
            ({"server": "mail.example.org:465"}, ("mail.example.org", 465, "tls")),
            ({"server": "mail", "starttls": True}, ("mail", 587, "starttls")),
            ({"server": "mail", "tls": True, "port": 25}, ("mail", 25, "starttls")),
            ({"server": "mail", "tls": "tls"}, ("mail", 465, "tls")),
            ({"server": "[::1]:2525", "tls": False}, ("::1", 2525, "none")),
        ],
    )
    def test_ways_to_write_a_server(self, entry: dict[str, Any], expected: tuple[Any, ...]) -> None:
        assert tuple(validate_servers({"a": entry})["a"].endpoint) == expected

    @pytest.mark.parametrize(
        ("entry", "where", "fault"),
        [
            ({"server": "http://a"}, "server", "is no address of a server"),
            ({"server": "a:b"}, "server", "is no address of a server"),
            ({"server": "smtp://a?x=1"}, "server", "is no address of a server"),
            ({"server": f"smtp://u:{PASSWORD}@a"}, "server", "settings of their own"),
            ({"server": "smtps://a", "tls": "none"}, "", "contradict"),
            ({"server": "a:25", "port": 26}, "", "contradict"),
            ({"server": "a", "username": "u"}, "", "or neither"),
            ({"server": "a", "sender": "nobody"}, "sender", "is no mail address"),
            ({"server": "a", "sender": "A\r\nB <a@b.c>"}, "sender", "is no mail address"),
            ({"server": "a", "pasword": PASSWORD}, "pasword", "not permitted"),
            ({}, "server", "Field required"),
        ],
    )
    def test_faults_of_an_entry_carry_their_path(
        self, entry: dict[str, Any], where: str, fault: str
    ) -> None:
        with pytest.raises(ValidationError) as caught:
            validate_servers({"good": {"server": "a"}, "office": entry})
        [error] = caught.value.errors()
        assert error["loc"] == (("office", where) if where else ("office",))
        assert fault in error["msg"]
        assert PASSWORD not in str(caught.value)

    def test_an_entry_of_privacyidea_pastes_unchanged(self) -> None:
        entry = {
            "description": "",
            "enqueue_job": False,
            "password": "",
            "port": 25,
            "sender": "",
            "server": "localhost",
            "timeout": 10,
            "tls": False,
            "username": "",
        }
        [server] = validate_servers({"office": entry}).values()
        assert tuple(server.endpoint) == ("localhost", 25, "none")
        assert server.username is None

    def test_passwords_do_not_show_in_repr(self) -> None:
        settings = Settings.model_validate(old_form(25, mailuser="u", mailpassword=PASSWORD))
        assert PASSWORD not in repr(settings)
        entry = {"server": "a", "username": "u", "password": PASSWORD}
        assert PASSWORD not in repr(validate_servers({"a": entry}))

    def test_one_server_has_to_be_named(self) -> None:
        assert "name the mail server" in self.faults(identifier=None)
        assert "name the mail server" in self.faults(mailserver="mail")

    def test_what_belongs_to_the_server_stands_there(self) -> None:
        faults = self.faults(mailuser="u", mailpassword="p")
        assert "mailuser, mailpassword: belongs into smtp_servers.office" in faults

    def test_contradictions_of_an_own_server_are_named(self) -> None:
        faults = self.faults(identifier="", mailserver="smtps://a", tls="starttls")
        assert "contradict each other" in faults

    @pytest.mark.parametrize("mailto", ["nobody", "a@b,", "a b@c", "<phone>", "{phone}@"])
    def test_an_address_that_cannot_be_one_is_refused(self, mailto: str) -> None:
        assert "is no mail address" in self.faults(mailto=mailto)

    def test_a_placeholder_that_is_none_is_refused(self) -> None:
        assert "{phon} is no placeholder" in self.faults(body="{phon}")

    @pytest.mark.parametrize("regexp", ["x", "/(/x/", r"/a/\1/"])
    def test_a_regexp_that_is_none_is_refused(self, regexp: str) -> None:
        assert "regexp" in self.faults(regexp=regexp)
