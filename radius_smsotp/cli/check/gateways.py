"""What ``smsotp check`` says of gateways with an HTTP API, beyond what they say themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml

from radius_smsotp.cli.check.finding import GATEWAYS, Finding
from radius_smsotp.model import text
from radius_smsotp.providers import is_loopback, presets
from radius_smsotp.providers.http.request import leaves
from radius_smsotp.settings.file import Loaded

note, warning = GATEWAYS.note, GATEWAYS.warning

MOST = 8
"""Letters that are named."""

ENDS = {"rest.messagebird.com": ("31 December 2026", "bird")}
"""Interfaces that end, by host: when, and the preset that follows.  Source: preset messagebird."""


def findings(loaded: Loaded, texts: Iterable[str]) -> Iterator[Finding]:
    """
    How settings were understood, and what would let a message be lost.

    Args:
        texts: What logins send.
    """
    for name in loaded.providers:
        for each in loaded.understood.get(name, ()):
            yield note(loaded.place(f"providers.{name}"), each)
        yield from warnings(loaded, name, texts)
    yield from receipts(loaded)


SECRET = 16
"""Characters that nobody guesses: of hex digits, 64 bits."""


def receipts(loaded: Loaded) -> Iterator[Finding]:
    """What keeps receipts from coming in, or lets others send some."""
    address = urlsplit(loaded.values.receiver.address)
    place = loaded.place("receiver.url")
    why = "What the network says of messages is not heard, and what was lost not sent again."
    for name, own in loaded.providers.items():
        here = loaded.place(f"providers.{name}")
        if getattr(own, "receipt", None) and not address.netloc:
            fault = "receipt is set, and receiver.url is not"
            yield warning(here, fault, "see 'Receipts' in docs/how-to/receipts.rst", why=why)
        elif own.asks_for_receipts() and not getattr(own, "receipt", None):
            fault = "the gateway is told {receipt_url}, and receipt does not say how to read it"
            yield warning(here, fault, "write receipt, as the presets have it", why=why)
    if not address.netloc:
        return
    why = "Whoever knows the secret can have messages sent once more, at your expense."
    if address.scheme == "http" and not is_loopback(address.hostname or ""):
        fault = "the secret in it, and whatever gateways tell, comes in the clear"
        yield warning(place, fault, "write https://, with TLS there", why=why)
    if max(map(len, address.path.split("/"))) < SECRET:
        fault = f"the secret in it has less than {SECRET} characters"
        yield warning(place, fault, "take what 'openssl rand -hex 16' prints", why=why)


def warnings(loaded: Loaded, name: str, texts: Iterable[str]) -> Iterator[Finding]:
    """What would let messages of one provider be lost, and its verdict be a wrong one."""
    settings = loaded.providers[name]
    if settings.type != "http":
        return
    strange = {one for each in texts for one in each if text.alphabet(one) is text.Alphabet.UCS2}
    yield from _ending(loaded, name, settings)
    yield from _loose(loaded, name, settings)
    if strange:
        yield from _untold(loaded, name, settings, sorted(strange))


def _ending(loaded: Loaded, name: str, settings: Any) -> Iterator[Finding]:
    if end := ENDS.get((urlsplit(settings.url).hostname or "").lower()):
        fault = f"this interface ends on {end[0]}"
        why = "From then on no message leaves this way."
        remedy = f"take the one of 'smsotp provider preset {end[1]}'"
        yield warning(loaded.place(f"providers.{name}.url"), fault, remedy, why=why)


def _loose(loaded: Loaded, name: str, settings: Any) -> Iterator[Finding]:
    """Answers of success that are answers of failure as well."""
    if refusal := settings.rules().loose():
        place = loaded.place(f"providers.{name}.return_success")
        shown = text.shown(settings.return_success)
        fault = f"'{shown}' stands in {refusal} too, and such an answer counts as accepted"
        remedy = (
            f"write return_success_regex: '^{shown}\\b', if the answer begins so; or return_fail"
        )
        why = "Users wait for a code in vain, and no other provider is tried."
        yield warning(place, fault, remedy, why=why)


def _untold(loaded: Loaded, name: str, settings: Any, strange: list[str]) -> Iterator[Finding]:
    """A gateway that has to be told of UCS-2, and is not: a preset knows it."""
    if settings.parameter_ucs2 or settings.body or "message" not in settings.template().carries():
        return
    sent = {where for where, _ in leaves(settings.parameter)}
    sent |= {key for key, _ in parse_qsl(urlsplit(settings.url).query)}
    for preset in presets.names():
        [known] = yaml.safe_load(presets.text(preset)).values()
        told = known.get("parameter_ucs2", {})
        flags = {key for key, value in told.items() if "{" not in str(value)}
        if not told or flags & sent or not _is_same(settings.url, known["url"]):
            continue
        letters = " ".join(strange[:MOST])
        fault = f"is not told of letters outside of the GSM alphabet, and texts have {letters}"
        written = ", ".join(f"{key}: {value!r}" for key, value in told.items())
        remedy = f"add parameter_ucs2: {{{written}}}"
        why = f"As preset {preset} has it: else question marks arrive in their place."
        yield warning(loaded.place(f"providers.{name}"), fault, remedy, why=why)
        return


def _is_same(ours: str, theirs: str) -> bool:
    """Whether two addresses are of one API: with software of the site's own, by the path."""
    here, there = urlsplit(ours), urlsplit(theirs)
    is_own = is_loopback(there.hostname or "") or (there.netloc or "").startswith("YOUR-")
    return here.path == there.path and (is_own or here.hostname == there.hostname)
