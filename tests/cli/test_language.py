"""``smsotp language``, and the language of an account."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

from radius_smsotp.settings import file, languages
from tests.cli.installation import Installation

if TYPE_CHECKING:
    from pathlib import Path

ADD = ("user", "add", "alice", "--phone", "+491701234567", "--no-pin")


def test_what_is_shown_can_be_pasted(here: Installation) -> None:
    """Under `languages:`, as it is."""
    for name in languages.FILES:
        pasted = yaml.safe_load("languages:\n" + here.done("language", "show", name))
        here.write(**pasted)
        found = file.load(here.settings_path).values.languages
        assert dict(found) == {name: languages.texts(name)}


def test_a_language_that_does_not_come_along(here: Installation) -> None:
    """The error names those that do."""
    shown = here.run("language", "show", "tlh")
    assert shown.exit_code == 2
    assert "there are cs, de, en" in shown.output


def test_the_list_names_those_of_the_settings_too(here: Installation) -> None:
    here.write(languages={"tlh": {"prompt": "nuqneH "}, "de": {}}, language="fr")
    here.done(*ADD, "--language", "de")
    listed = {
        one.pop("language"): one for one in json.loads(here.done("language", "list", "--json"))
    }
    no = {"shipped": False, "settings": False, "default": False, "accounts": 0}
    assert listed["tlh"] == no | {"settings": True}
    assert listed["de"] == no | {"shipped": True, "settings": True, "accounts": 1}
    assert listed["fr"] == no | {"shipped": True, "default": True}
    assert "shipped and settings" in here.done("language", "list")


class TestAccount:
    def test_it_is_set_shown_and_taken_away(self, here: Installation) -> None:
        """In any writing; a region of a known language is known."""
        here.done(*ADD, "--language", "de_AT")
        assert json.loads(here.done("user", "show", "alice", "--json"))["language"] == "de-at"
        assert json.loads(here.done("user", "list", "--json"))[0]["language"] == "de-at"
        here.done("user", "set", "alice", "--language", "FR")
        assert "Language            fr" in here.done("user", "show", "alice")
        here.done("user", "set", "alice", "--no-language")
        assert "Language            as the client's" in here.done("user", "show", "alice")
        assert here.events("alice")[-1].detail["fields"] == "language"

    @pytest.mark.parametrize("name", ["tlh", "", "en, de", "de;q=1"])
    def test_one_without_texts_is_refused(self, here: Installation, name: str) -> None:
        """And so is a list, which only directories have."""
        shown = here.run(*ADD, "--language", name)
        assert shown.exit_code == 2
        assert "is not one of cs, de, en" in shown.output
        assert here.account("alice") is None

    def test_one_and_none_exclude_each_other(self, here: Installation) -> None:
        here.done(*ADD)
        shown = here.run("user", "set", "alice", "--language", "de", "--no-language")
        assert shown.exit_code == 2

    def test_it_travels_in_files(self, here: Installation, tmp_path: Path) -> None:
        """An empty field leaves what is there; a faulty one is named."""
        path = tmp_path / "staff.csv"
        path.write_text("name,phone,language\nbob,+491707654321,pl\neve,+491707654322,tlh\n")
        shown = here.run("user", "import", str(path))
        assert "line 3: the language 'tlh' is not one of" in shown.output
        path.write_text("name,phone,language\nbob,+491707654321,pl\n")
        here.done("user", "import", str(path))
        exported = here.done("user", "export", "-")
        assert exported == "name,phone,provider,enabled,language\nbob,+491707654321,,yes,pl\n"
        path.write_text("name,phone,language\nbob,+491707654399,\n")
        here.done("user", "import", str(path), "--update")
        found = here.account("bob")
        assert found is not None
        assert (found.phone, found.language) == ("+491707654399", "pl")


def test_what_a_client_shows_to_somebody_who_reads_another(here: Installation) -> None:
    """And where each text stands."""
    here.write(
        languages={"de": {"prompt": "Code? "}}, clients={"vpn": {"texts": {"failed": "No."}}}
    )
    shown = json.loads(here.done("client", "show", "vpn", "--language", "de-AT", "--json"))
    settings = shown["settings"]
    assert settings["language"] == {"value": "de", "from": "account"}
    assert settings["prompt"] == {"value": "Code? ", "from": "languages.de.prompt"}
    assert settings["message"]["from"] == "shipped (de)"
    assert settings["texts.failed"]["value"] == "Anmeldung fehlgeschlagen."
    assert here.run("client", "show", "vpn", "--language", "tlh").exit_code == 2


@pytest.mark.parametrize(
    ("sections", "path"),
    [
        ({"language": "tlh"}, "language"),
        ({"clients": {"vpn": {"language": "tlh"}}}, "clients.vpn.language"),
        (
            {"clients": {"vpn": {"ssids": {"Guests": {"language": "tlh"}}}}},
            "clients.vpn.ssids.Guests.language",
        ),
    ],
)
def test_the_check_names_a_language_without_texts(
    here: Installation, sections: dict[str, object], path: str
) -> None:
    here.write(**sections)
    shown = here.run("check", "--user", "root")
    assert shown.exit_code == 3
    assert f"{path}: there are no texts in 'tlh'" in shown.output


def test_the_check_counts_the_sms_of_each_language(here: Installation) -> None:
    here.write(languages={"de": {"message": "{code}" + "x" * 200}})
    assert "languages.de.message: 2 SMS, " in here.run("check", "--user", "root").output
