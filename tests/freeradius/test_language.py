"""Prompts in any language arrive whole: over RADIUS, and at a Wi-Fi device inside its tunnel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from radius_smsotp.settings import languages
from tests.freeradius.supplicant import PEAP_GTC, TTLS_GTC, Supplicant
from tests.freeradius.test_wifi import code
from tests.support.site import PIN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.freeradius import Radiusd, Site

RUSSIAN = "Введите код из 6 цифр, отправленный на ***67: "


def test_every_language_arrives_as_it_is_written(site: Site, radiusd: Radiusd) -> None:
    for number, name in enumerate(languages.FILES, 10):
        found = languages.texts(name)
        assert found is not None
        site.add(f"user-{name}", f"+4917012345{number}", language=name)
        prompt = str(found.prompt).format_map({"digits": 6, "phone_hint": f"***{number}"})
        assert radiusd.challenge(f"user-{name}").message == prompt


@pytest.mark.parametrize("method", [PEAP_GTC, TTLS_GTC], ids=["peap", "ttls"])
def test_a_wifi_device_shows_it_whole(site: Site, radiusd: Radiusd, method: str) -> None:
    """wpa_supplicant hands to its user what stands in the EAP packet."""
    site.add("anna", language="ru")
    with Supplicant(radiusd, method, "anna") as device:
        assert device.question() == "PIN: "
        assert device.answer(PIN) == RUSSIAN
        assert device.answer(code(site, "anna")) is None
        assert device.accepted()
    assert "действителен" in site.messages()[-1]["text"].lower()


def test_a_directory_may_say_the_language(site: Site, tmp_path: Path) -> None:
    """`SMSOTP-Language` in the control list, as any module may set it."""

    def edit(raddb: Path) -> None:
        path = raddb / "sites-available" / "smsotp"
        text = path.read_text("utf-8")
        said = '\t\tupdate control {\n\t\t\t&SMSOTP-Language := "cs, en;q=0.5"\n\t\t}\n'
        path.write_text(text.replace("\t\tsmsotp_authorize\n", f"{said}\t\tsmsotp_authorize\n"))
        assert said in path.read_text("utf-8")

    site.add("cyril", language="de")
    radiusd = site.start("raddb-language", edit)
    assert radiusd.challenge("cyril").message == "Zadejte 6místný kód zaslaný na ***67: "
