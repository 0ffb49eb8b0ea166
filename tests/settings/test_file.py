"""The YAML file, read: frozen settings, or every error at once."""

from __future__ import annotations

import gc
import json
import re
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radius_smsotp.errors import ConfigurationError
from radius_smsotp.settings.file import Loaded, load

if TYPE_CHECKING:
    from pathlib import Path

    from radius_smsotp.errors import Problem

FOLDER = {"demo": {"type": "folder", "path": "outbox"}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the settings are."""
    return tmp_path / "smsotp.yaml"


def written(path: Path, text: str) -> Loaded:
    """Settings from this text."""
    path.write_text(text, encoding="utf-8")
    return load(path)


def loaded(path: Path, **sections: Any) -> Loaded:
    """Settings with these sections."""
    return written(path, json.dumps({"providers": FOLDER} | sections))


def problems(path: Path, text: str) -> list[Problem]:
    """What is wrong with this text."""
    with pytest.raises(ConfigurationError) as caught:
        written(path, text)
    assert caught.value.__cause__ is None, "what caused it may quote a password"
    return caught.value.problems


def lines(path: Path, text: str) -> list[str]:
    """The same, as the administrator reads it."""
    return [str(problem) for problem in problems(path, text)]


class TestPlaces:
    def test_relative_paths_count_from_the_settings_file(self, path: Path) -> None:
        """The folder can be moved as a whole."""
        one = loaded(path, key_file="keys/key", store="sqlite:///data/smsotp.db")
        assert one.key_path == path.parent / "keys" / "key"
        assert one.store_url == f"sqlite:///{path.parent}/data/smsotp.db"

    def test_absolute_paths_stay(self, path: Path) -> None:
        """Wherever the settings file is."""
        one = loaded(path, key_file="/etc/key", store="sqlite:////var/lib/smsotp.db")
        assert str(one.key_path) == "/etc/key"
        assert one.store_url == "sqlite:////var/lib/smsotp.db"

    def test_the_settings_file_itself_may_be_named_relatively(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """radiusd changes its folder afterwards."""
        loaded(path)
        monkeypatch.chdir(path.parent)
        assert load(type(path)(path.name)).path == path

    def test_another_store_is_left_to_who_opens_it(self, path: Path) -> None:
        """`open_store` says what is wrong with it."""
        assert loaded(path, store="oracle://x").store_url == "oracle://x"
        assert loaded(path, store="sqlite://x").store_url == "sqlite://x"


class TestOrder:
    TWO: dict[str, Any] = {"b": FOLDER["demo"], "a": FOLDER["demo"]}  # noqa: RUF012  # constant

    def test_providers_are_tried_as_they_stand_in_the_file(self, path: Path) -> None:
        """Unless `delivery.order` says otherwise."""
        assert loaded(path, providers=self.TWO).order == ("b", "a")
        assert loaded(path, providers=self.TWO, delivery={"order": ["a"]}).order == ("a",)

    def test_each_is_of_its_own_class(self, path: Path) -> None:
        """With the settings of its type."""
        [(name, one)] = loaded(path).providers.items()
        assert (name, one.type, str(one.path)) == ("demo", "folder", "outbox")  # type: ignore[attr-defined]


class TestErrors:
    def test_all_come_at_once_each_with_its_path(self, path: Path) -> None:
        """Nobody has to start FreeRADIUS five times to find five mistakes."""
        text = """
            code: {digits: 5, lifetyme: 3}
            challenge: {style: sms}
            delivery: {order: [demo, backup]}
            providers:
              demo: {type: folder, path: outbox}
              other: {type: gsm}
              third: {path: outbox}
              fourth: {type: folder, pth: outbox}
              "no name": {type: folder, path: outbox}
            clients:
              fortigate: {wait: 99}
        """
        found = problems(path, text)
        assert [problem.path for problem in found] == [
            "smsotp.yaml, line 2, column 20: code.digits",
            "smsotp.yaml, line 2, column 31: code.lifetyme",
            "smsotp.yaml, line 3, column 25: challenge.style",
            "smsotp.yaml, line 4, column 24: delivery.order",
            "smsotp.yaml, line 5, column 13: providers.no…",
            "smsotp.yaml, line 7, column 23: providers.other.type",
            "smsotp.yaml, line 8, column 15: providers.third.type",
            "smsotp.yaml, line 9, column 15: providers.fourth.path",
            "smsotp.yaml, line 9, column 38: providers.fourth.pth",
            "smsotp.yaml, line 12, column 27: clients.fortigate.wait",
        ]
        for problem in found:
            assert problem.remedy or "is not one of" in problem.fault, problem

    def test_a_misspelt_setting_is_recognised(self, path: Path) -> None:
        """Wherever it stands."""
        text = """
            limitz: {}
            code: {lifetyme: 3}
            providers:
              demo: {type: folder, pth: outbox}
            clients:
              fortigate: {stile: reject}
        """
        remedies = {problem.path.split(": ")[1]: problem.remedy for problem in problems(path, text)}
        assert remedies["limitz"] == "did you mean 'limits'?"
        assert remedies["code.lifetyme"] == "did you mean 'lifetime'?"
        assert remedies["providers.demo.pth"] == "did you mean 'path'?"
        assert remedies["clients.fortigate.stile"] == "did you mean 'style'?"

    @pytest.mark.parametrize(
        ("section", "told", "line"),
        [
            (
                "limits: {per_day: 5.000}",
                "limits.per_day: is 5 to YAML, and has to be a whole number; write it without a "
                "point",
                "1 | per_day: 5.000",
            ),
            (
                "limits:\n  cooldown: yes",
                "limits.cooldown: is yes or no to YAML, and has to be a number; write it in digits",
                "2 | cooldown: yes",
            ),
            (
                "code: {digits: 12}",
                "code.digits: is 12, and has to be a whole number from 6 to 9; this is: length of "
                "the code (RFC 4226: at least 6)",
                "1 | digits: 12",
            ),
            (
                "delivery:\n  wait_share: 0,25",
                "delivery.wait_share: is 0,25, and has to be a number from 0 to 1; write 0.25",
                "2 | wait_share: 0,25",
            ),
            (
                "delivery: {wait_share: 0,25}",
                "delivery.25: there is no such setting; if it stands behind a comma, write that "
                "number with a point",
                "",
            ),
            (
                "lockout: {failures: 0}",
                "lockout.failures: is 0, and has to be a whole number of at least 1; this is: "
                "wrong PINs and codes in a row that lock an account",
                "1 | failures: 0",
            ),
            (
                "challenge: {style: sms}",
                "challenge.style: has to be 'challenge' or 'reject'; this is: challenge: "
                "Access-Challenge; reject: Access-Reject, for clients that know no challenge and "
                "send PIN and code in one password afterwards",
                "1 | style: sms",
            ),
            (
                "per_number_hour: 3",
                "per_number_hour: there is no such setting; indent it, so that it belongs to "
                "'limits'",
                "",
            ),
            (
                "gateway:\n  type: http\n  url: https://gw.example.org",
                "gateway: there is no such setting; indent it, so that it belongs to 'providers'",
                "",
            ),
        ],
    )
    def test_a_fault_shows_its_line_what_belongs_there_and_what_to_write(
        self, path: Path, section: str, told: str, line: str
    ) -> None:
        [problem] = problems(path, f"{section}\nproviders: {json.dumps(FOLDER)}")
        where, _, rest = str(problem).partition(": ")
        assert (rest, problem.line) == (told, line)
        assert re.fullmatch(r"smsotp\.yaml, line [12], column [0-9]+", where)

    def test_a_provider_that_is_not_indented_is_told_to_be(self, path: Path) -> None:
        """As what was pasted two blanks too far left."""
        text = "providers:\n  demo:\n  type: folder\n  path: outbox\n"
        remedy = "indent what belongs to a provider below its name, as 'demo: {type: folder, …}'"
        assert lines(path, text) == [
            f"smsotp.yaml, line 2, column 3: providers.demo: is empty; {remedy}",
            f"smsotp.yaml, line 3, column 3: providers.type: belongs to no provider; {remedy}",
            f"smsotp.yaml, line 4, column 3: providers.path: belongs to no provider; {remedy}",
        ]

    def test_what_may_be_a_password_is_not_shown_with_its_line(self, path: Path) -> None:
        """Within providers only numbers are, where numbers belong."""
        text = "providers:\n  gw:\n    type: smpp\n    url: x\n    password: 12\n    timeout: 0\n"
        text += "    price: s3cret\n"
        found = problems(path, text)
        assert "6 | timeout: 0" in {problem.line for problem in found}
        assert "7 | price: …" in {problem.line for problem in found}
        assert "s3cret" not in repr(found)

    @pytest.mark.parametrize(
        ("section", "line"),
        [
            ("clients: {fw: s3cret}", "1 | fw: …"),
            ("clients: {fw: {ssids: {Office: s3cret}}}", "1 | Office: …"),
            ("limits: s3cret", "1 | limits: …"),
        ],
    )
    def test_a_word_where_settings_belong_is_not_shown(
        self, path: Path, section: str, line: str
    ) -> None:
        """Somebody may take `clients` for FreeRADIUS's, and write the secret there."""
        [problem] = problems(path, f"{section}\nproviders: {json.dumps(FOLDER)}")
        assert problem.line == line
        assert "s3cret" not in repr(problem)

    def test_an_unknown_setting_is_told_what_is_known(self, path: Path) -> None:
        """If nothing is like it."""
        [line] = lines(path, "code: {xyz: 1}\nproviders: {d: {type: folder, path: x}}")
        assert line.endswith("known here: digits, guesses, lifetime")

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("", "providers: there is none"),
            ("providers: {}", "providers: there is none"),
            ("providers: []", "providers"),
            ("providers: [a, b]", "providers"),
            ("providers: text", "providers"),
            ("providers: {1: {type: folder, path: x}}", "providers.1"),
            ("providers: {d: text}", "providers.d"),
            ("providers: {d: {type: [http]}}", "providers.d.type"),
            ("- a\n- b", "holds no settings"),
            ("text", "holds no settings"),
            ("1: 2\nproviders: {d: {type: folder, path: x}}", "smsotp.yaml, line 1, column 1: 1"),
            ("a: [", "line 1"),
            ("a: b: c", "line 1, column 5"),
            ("\tcode: 1", "line 1"),
            ("code: {digits: 6}\ncode: {digits: 7}", "'code' stands here twice"),
            ("providers:\n  a: {type: folder}\n  a: {type: folder}", "'a' stands here twice"),
            ("code: {digits: 6, digits: 7}", "line 1, column 19: 'digits' stands here twice"),
            ("? [a, b]\n: c", "line 1"),
            ("? {a: b}\n: c", "line 1"),
            ("country: 2026-99-99", "smsotp.yaml"),  # a date, says YAML, and there is no such day
            ("code: {digits: !!int six}", "smsotp.yaml"),
            ("code: *nobody", "line 1"),
            ("a: &a {b: *a}", "smsotp.yaml"),
            ("a: " + "[" * 5000, "smsotp.yaml"),
            ("code: \x07", "smsotp.yaml"),
            ("%YAML 9.9\n---\na: b", "smsotp.yaml"),
            ("a: b\n---\nc: d", "smsotp.yaml"),
            ("country: NO\nproviders: {d: {type: folder, path: x}}", "country"),
        ],
    )
    def test_whatever_is_wrong_is_said_and_what_to_do(
        self, path: Path, text: str, complaint: str
    ) -> None:
        """No text ends in an exception of another kind."""
        found = problems(path, text)
        assert complaint in str(found[0])
        for problem in found:
            assert problem.remedy, problem

    def test_a_country_that_yaml_takes_for_no_is_to_be_quoted(self, path: Path) -> None:
        """Norway."""
        [line] = lines(path, f"country: NO\nproviders: {json.dumps(FOLDER)}")
        assert "quotes" in line

    def test_a_file_that_is_missing_or_no_file(self, path: Path) -> None:
        """What to do stands there."""
        with pytest.raises(ConfigurationError, match="make one with 'smsotp init"):
            load(path)
        path.mkdir()
        with pytest.raises(ConfigurationError, match="is a folder; name the file in it"):
            load(path)

    def test_a_file_that_is_no_utf8(self, path: Path) -> None:
        """As older editors write it."""
        path.write_bytes("message: {code} für Sie".encode("latin-1"))
        with pytest.raises(ConfigurationError, match="save it as UTF-8"):
            load(path)

    @settings(
        max_examples=200,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(st.text(st.sampled_from("ab:-{}[]#&*!|>'\"%@`? \n,0"), max_size=60))
    def test_any_text_is_settings_or_a_configuration_error(self, path: Path, text: str) -> None:
        """Nothing else comes out, with a remedy for each fault."""
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigurationError) as caught:
            load(path)
        for problem in caught.value.problems:
            assert problem.path.startswith("smsotp.yaml")
            assert problem.remedy, problem


SECRET = "s3cret-Passw0rd"

BROKEN = [
    "    password: {0}: x",
    "    password: '{0}",
    '    password: "{0}',
    '    password: "{0}\\q"',
    "    password: *{0}",
    "    password: &{0} [",
    "    password: &{0} a\n    other: &{0} b\n    c: [",
    "    password: !{0} x",
    "    password: !{0}!x y",
    "    password: !!{0} x",
    "    password: !!int {0}",
    "    password: !!float {0}",
    "    password: !!timestamp {0}",
    "    password: !!binary {0}!",
    "    password: !!bool {0}",
    "    password: %{0}",
    "    password: @{0}",
    "    password: `{0}`",
    "    password: {{{0}",
    "    password: [{0}",
    "    password: {{{0}: {{a: b}}}}",
    "    password: !!map {0}",
    "    password: |{0}",
    "    password: >{0}\n   x",
    "    password:{0}",
    "    password={0}",
    "    password: {0}\n   x: y",
    "    password: {0}\n      x: y",
    "    {0}",
    "    - {0}",
    "    password: [{0}]",
    "    type: {{password: {0}}}",
    "    timeout: {0}",
    "    path: {{x: {0}}}",
]
"""Lines in which a slip of the pen meets a password."""


class TestSecrets:
    @pytest.mark.parametrize("line", BROKEN)
    @pytest.mark.parametrize("flow", [False, True], ids=["block", "flow"])
    def test_no_error_repeats_a_password(self, path: Path, line: str, flow: bool) -> None:
        """However the line is broken: the errors go to a log that others read."""
        inside = line.format(SECRET)
        if flow:
            inside = "  {type: folder, path: x, " + inside.strip() + "}"
            text = f"providers:\n  demo:\n{inside}\n"
        else:
            text = f"providers:\n  demo:\n    type: folder\n    path: x\n{inside}\n"
        for problem in problems(path, text):
            assert SECRET not in repr(problem)
            assert problem.remedy

    def test_a_provider_whose_name_is_a_mistake(self, path: Path) -> None:
        """A password one line too high."""
        text = f"providers:\n  password:{SECRET}: {{type: folder, path: x}}"
        assert SECRET not in "".join(lines(path, text))


class TestJson:
    def test_the_json_of_privacyidea_pastes_unchanged(self, path: Path) -> None:
        """Its names in capitals, its JSON under a provider, escapes and all."""
        pasted = """
{
    "URL": "https://api.example.org/http/sendmsg",
    "HTTP_METHOD": "POST",
    "PARAMETER": {"user": "me", "password": "pa\\/ss", "from": "\\u00c4mt \\ud83d\\ude00"},
    "SMS_TEXT_KEY": "text",
    "SMS_PHONENUMBER_KEY": "to",
    "RETURN_SUCCESS": "ID",
    "PROXY": "http://proxy.example.org:3128"
}"""
        inside = pasted.strip().removeprefix("{")
        one = written(path, f'providers:\n  clickatell: {{"type": "http", {inside}')
        http = one.providers["clickatell"]
        assert http.type == "http"
        assert http.url == "https://api.example.org/http/sendmsg"  # type: ignore[attr-defined]
        assert "\U0001f600" in json.dumps(http.model_dump(mode="json"), ensure_ascii=False)

    def test_the_whole_file_may_be_json(self, path: Path) -> None:
        """As a program writes it."""
        text = json.dumps({"providers": FOLDER, "code": {"digits": 8}}, indent=2)
        assert written(path, text).values.code.digits == 8

    def test_parts_of_the_file_may_be_merged(self, path: Path) -> None:
        """YAML's ``<<``: what stands beside it wins and is no repetition."""
        text = """
            providers:
              one: &base {type: folder, path: x, timeout: 3}
              two: {<<: *base, path: y}
        """
        two = written(path, text).providers["two"]
        assert (two.timeout, str(two.path)) == (3, "y")  # type: ignore[attr-defined]


def test_settings_that_were_replaced_go_away(path: Path) -> None:
    """They hold passwords; nothing keeps them once nobody uses them."""
    one = loaded(path)
    for number in range(2000):
        one.for_client(f"client{number}", "192.0.2.1")
    seen = weakref.ref(one.values)
    del one
    gc.collect()
    assert seen() is None


def test_the_place_of_a_setting_has_file_line_and_path(path: Path) -> None:
    """In any letter case, as privacyIDEA writes them; of one that is absent, where it belongs."""
    path.write_text(
        "store: sqlite:///s.db\n"
        "providers:\n"
        "  GW:\n"
        "    type: http\n"
        "    URL: http://192.0.2.1/{phone}/{message}\n"
        "  gw: {type: folder, path: outbox}\n"
    )
    loaded = load(path)
    assert {
        setting: loaded.place(setting)
        for setting in ("store", "providers.GW.url", "providers.GW.check_ssl", "providers.gw.path")
    } == {
        "store": "smsotp.yaml, line 1: store",
        "providers.GW.url": "smsotp.yaml, line 5: providers.GW.url",
        "providers.GW.check_ssl": "smsotp.yaml, line 3: providers.GW.check_ssl",
        "providers.gw.path": "smsotp.yaml, line 6: providers.gw.path",
    }
    assert loaded.place("pin.shortest") == "smsotp.yaml: pin.shortest"


HTTP = "type: http\n    url: http://127.0.0.1\n    "
SCRIPT = "type: script\n    script: /bin/true\n    "


@pytest.mark.parametrize(
    "text",
    [
        "limits:\n  countries: ['\nsmtp:\n  password: hunter2 ']\n",
        "limits:\n  refused: ['\nsmtp:\n  password: hunter2 ']\n",
        "delivery:\n  order: ['\nsmtp:\n  password: hunter2 ']\n",
        "language: '\nsmtp:\n  password: hunter2 '\n",
        "providers:\n  a:\n    type: '\n    password: hunter2 '\n",
        f"providers:\n  a:\n    {HTTP}headers: {{'Key hunter2': 1}}\n",
        f"providers:\n  a:\n    {HTTP}'Key hunter2': 1\n    'key hunter2': 1\n",
        f"providers:\n  a:\n    {SCRIPT}environment: {{'KEY=hunter2': a}}\n",
    ],
    ids=str,
)
def test_a_fault_quotes_no_more_than_a_name(tmp_path: Path, text: str) -> None:
    """A quote that is not closed takes the lines behind it along, passwords among them."""
    path = tmp_path / "smsotp.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert "hunter2" not in str(caught.value)
