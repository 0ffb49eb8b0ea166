"""A login through pam_radius, as SSH and sudo make it: PAM asks for the PIN, then for the code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.peers.pam import Pam
from tests.support.freeradius import Radiusd, Site
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROMPT = "Enter the 6-digit code sent to ***67: "
WORDS = "Code per SMS an {phone_hint}, gültig {minutes} Minuten; «r» schickt ihn nochmals, €uro: "
IN = (0, "pamtester: successfully authenticated\n")
OUT = (1, "pamtester: Authentication failure\n")


def sent_code(site: Site) -> str:
    """The code of the last message."""
    [*_, message] = eventually(site.messages)
    return site.code(message["transaction_id"].encode())


def ended(status: int, shown: str) -> tuple[int, str]:
    """How it ended: the exit status, and what was shown last."""
    return status, shown[shown.rindex("pamtester: ") :]


def test_it_asks_for_pin_and_code(site: Site, radiusd: Radiusd, tmp_path: Path) -> None:
    login = Pam(tmp_path / "pam", [radiusd]).authenticate()
    login.expect("PIN: ")
    login.type(PIN)
    login.expect(PROMPT)
    login.type(sent_code(site))
    assert ended(*login.end()) == IN
    assert site.kinds("alice") == ["challenge-opened", "sms-accepted", "code-accepted"]


def test_several_rounds_with_wrong_codes_and_a_resend(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    site = make_site(challenge={"prompt": WORDS})
    pam = Pam(tmp_path / "pam", [site.start()], "prompt=PIN prompt_attribute")
    prompt = WORDS.format(phone_hint="***67", minutes=5)
    login = pam.authenticate()
    login.expect("PIN: ")
    login.type(PIN)
    for answer, before in (("000000", ""), ("r", "Wrong code, 2 left. "), ("1", "Sent again. ")):
        login.expect(f"{before}{prompt}")
        login.type(answer)
    login.expect(f"Wrong code, 1 left. {prompt}")
    login.type(sent_code(site))
    assert ended(*login.end()) == IN


def test_wrong_pins_and_used_up_guesses_do_not_let_in(
    site: Site, radiusd: Radiusd, tmp_path: Path
) -> None:
    pam = Pam(tmp_path / "pam", [radiusd])
    login = pam.authenticate()
    login.expect("PIN: ")
    login.type("9999")
    assert ended(*login.end()) == OUT
    login = pam.authenticate()
    login.expect("PIN: ")
    login.type(PIN)
    for _ in range(3):
        login.expect(PROMPT)
        login.type("000000")
    assert ended(*login.end()) == OUT
    assert "code-accepted" not in site.kinds("alice")


def test_pin_and_code_in_one_password(make_site: Callable[..., Site], tmp_path: Path) -> None:
    site = make_site(challenge={"style": "reject"})
    pam = Pam(tmp_path / "pam", [site.start()])
    login = pam.authenticate()
    login.expect("PIN: ")
    login.type(PIN)
    assert ended(*login.end()) == OUT
    login = pam.authenticate()
    login.expect("PIN: ")
    login.type(PIN + sent_code(site))
    assert ended(*login.end()) == IN


def test_after_a_server_has_died_between_the_steps_the_same_code_is_good_at_the_other(
    site: Site, tmp_path: Path
) -> None:
    one, two = site.start("one"), site.start("two")
    pam = Pam(tmp_path / "pam", [one, two], timeout=1)
    login = pam.authenticate()
    login.expect("PIN: ")
    login.type(PIN)
    login.expect(PROMPT)
    code = sent_code(site)
    one.stop()
    # pam_radius keeps to the server that has challenged it: the user has to begin again.
    login.type(code)
    assert login.end()[0] != 0
    login = pam.authenticate()
    login.expect("PIN: ")
    login.type(PIN)
    login.expect(PROMPT)
    login.type(code)
    assert ended(*login.end()) == IN
    kinds = site.kinds("alice")
    assert "challenge-repeated" in kinds
    assert [kind for kind in kinds if kind != "challenge-repeated"] == [
        "challenge-opened",
        "sms-accepted",
        "code-accepted",
    ]
