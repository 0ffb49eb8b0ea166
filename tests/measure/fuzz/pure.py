"""Targets without a store: what comes from gateways, modems and files of the administrator."""

from __future__ import annotations

import functools
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from radius_smsotp.errors import ConfigurationError, DeliveryError, Unknown
from radius_smsotp.login.request import Step
from radius_smsotp.model import code, forms, identity, pin, text
from radius_smsotp.model import text as message
from radius_smsotp.model import text as placeholder
from radius_smsotp.providers import Message, Receipt, sipgate
from radius_smsotp.providers.excerpt import excerpt
from radius_smsotp.providers.http import answer
from radius_smsotp.providers.modem import line as modem_at
from radius_smsotp.providers.modem import pdu
from radius_smsotp.providers.modem.errors import ModemError, explain
from radius_smsotp.providers.smpp import session
from radius_smsotp.raddb import files
from radius_smsotp.radius import eap, packets
from radius_smsotp.settings import file, keyring
from tests.measure.fuzz.dough import Dough

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
KEY = bytes(range(code.KEY_OCTETS))
PASSWORD = "Passwort am Gateway"
SMS = Message("0" * 32, "+491701234567", "482913 is your login code.", "482913")


def attributes(octets: bytes) -> None:
    """Attribute lists: read into a request, or nothing; what is written back has exact types."""
    dough = Dough(octets)
    parsed = packets.parse(lists(dough))
    if parsed is None:
        return
    assert parsed.user
    assert parsed.transaction_id is None or len(parsed.transaction_id) == 32
    fitting = packets.reply_message(dough.text(2000))
    assert len(fitting[1].encode("utf-8", "replace")) <= text.REPLY_MESSAGE_OCTETS
    made = packets.result(dough.number(10), [fitting], [("SMSOTP-Matched", parsed.matched)])
    assert type(made) is tuple
    for values in made[1].values():
        assert all(type(part) is str for pair in values for part in pair)


NAMES = (
    "User-Name",
    "User-Password",
    "Stripped-User-Name",
    "State",
    "Calling-Station-Id",
    "NAS-Identifier",
    "SMSOTP-Client",
    "SMSOTP-Client-Address",
    "Tmp-Octets-0",
    "Tmp-Octets-1",
    "Tmp-Octets-2",
    "Tmp-Octets-3",
    "Tmp-Octets-4",
    "Called-Station-Id",
    "EAP-Message",
    "CHAP-Password",
    "MS-CHAP2-Response",
)
CONFIG = (
    "SMSOTP-Step",
    "SMSOTP-Matched",
    "SMSOTP-Reason",
    "SMSOTP-Settled",
    "SMSOTP-Phone",
    "SMSOTP-Provider",
    "SMSOTP-Style",
    "SMSOTP-Text",
    "SMSOTP-Ticket",
    "SMSOTP-EAP",
    "SMSOTP-Candidate",
)
"""What the policy sets; not SMSOTP-Proved, which is FreeRADIUS's word that a code was right."""

VALUES = (
    "alice",
    "1234",
    "pin",
    "pin-or-code",
    "pin-and-code",
    "code",
    "down",
    "reject",
    "yes",
    "",
)


def lists(dough: Dough) -> dict[str, Any]:
    """What rlm_python3 might pass: lists of attributes with values that a client chooses."""

    def value() -> str:
        kind = dough.number(4)
        if kind == 0:
            return dough.one(VALUES)
        if kind == 1:
            return f"0x{dough.octets(dough.number(64)).hex()}"
        # rlm_python3 hands over UTF-8 only, and never a NUL (see policy.d/smsotp).
        return dough.text().encode("utf-8", "replace").decode().replace("\0", "")

    def some(choices: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        return tuple((dough.one(choices), value()) for _ in range(dough.number(8)))

    request = some(NAMES)
    if dough.number(4):
        request = (("User-Name", dough.one(("alice", "bob", "nobody"))), *request)
    return {"request": request, "config": some(CONFIG), "reply": None, "session-state": ()}


def eap_packet(dough: Dough) -> bytes:
    """An EAP packet (RFC 3748 section 4), mostly a response that is right in form."""
    data = dough.one((b"", b"1234", b"000000", b"r", dough.octets(dough.number(64))))
    method = dough.one((6, 6, 6, 1, 3, 26, dough.number(256)))
    length = dough.one((5 + len(data),) * 3 + (dough.number(65536),))
    code = dough.one((2, 2, 2, dough.number(256)))
    return bytes((code, dough.number(256))) + length.to_bytes(2, "big") + bytes((method,)) + data


def eap_packets(octets: bytes) -> None:
    """EAP packets and the State beside them: a round, and a packet that asks the next question."""
    dough = Dough(octets)
    packet = eap_packet(dough) if dough.number(3) else dough.octets(64)
    state = dough.one((f"{'0' * 32}{dough.number(256):02x}", f"{'a1' * 16}07", dough.text()))
    found = eap.read(packet, state, two=bool(dough.number(2)))
    assert (found.step in {None, Step.MSCHAPV2}) == bool(found.fault)
    next_state, question = eap.ask(found, dough.text(2000), found.transaction_id, found.echo)
    assert eap.STATE.fullmatch(next_state)
    assert int.from_bytes(question[2:4], "big") == len(question) <= 1020
    assert question[1] == (found.identifier + 1) % 256
    assert eap.succeed(found) == bytes((eap.SUCCESS, found.identifier, 0, 4))


@functools.cache
def _folder() -> Path:
    """Where files are made: in memory if there is room for that."""
    memory = Path("/dev/shm")
    holder = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
    _HELD.append(holder)
    return Path(holder.name)


_HELD: list[tempfile.TemporaryDirectory[str]] = []


@functools.cache
def _example() -> tuple[str, ...]:
    text = (files.folder() / "smsotp.yaml").read_text("utf-8")
    return tuple(line for line in text.splitlines() if not line.lstrip().startswith("#"))


def settings(octets: bytes) -> None:
    """A settings file: read, or every fault said, without what may be a password."""
    dough = Dough(octets)
    lines = list(_example()) if dough.number(2) else ["providers: {a: {type: folder, path: x}}"]
    for _ in range(dough.number(4)):
        place = dough.number(len(lines))
        action = dough.number(4)
        if action == 0:
            lines.insert(place, dough.text())
        elif action == 1:
            key = lines[place].partition(":")[0]
            lines[place] = f"{key}: {dough.text()}"
        elif action == 2:
            lines[place] = lines[place][: dough.number(80)]
        else:
            lines.insert(place, f"  password: {PASSWORD}{dough.text(8)}")
    if dough.number(3) == 0:
        lines = [dough.rest().decode("utf-8", "replace")]
    path = _folder() / "smsotp.yaml"
    path.write_bytes("\n".join(lines).encode("utf-8", "replace"))
    try:
        loaded = file.load(path)
    except ConfigurationError as error:
        _tells_nothing(str(error))
        return
    assert loaded.providers
    loaded.for_client(dough.text(), dough.text())
    place = loaded.place(f"providers.{next(iter(loaded.providers))}.type")
    assert place.startswith("smsotp.yaml")
    _tells_nothing(place)


def key_file(octets: bytes) -> None:
    """A key file: read, or its fault said."""
    dough = Dough(octets)
    lines = [f"k{number} {KEY.hex()}" for number in range(dough.number(3))]
    lines.insert(dough.number(len(lines) + 1), dough.text())
    lines.append(f"{dough.text(8)} {KEY.hex()[: dough.number(65)]} {dough.text(30)}")
    path = _folder() / "key"
    path.touch(0o600)
    path.write_bytes("\n".join(lines).encode("utf-8", "replace"))
    try:
        keys = keyring.read(path, NOW)
    except ConfigurationError as error:
        _tells_nothing(str(error))
        return
    assert len(keys.secret) >= code.KEY_OCTETS


RULES = (
    answer.Rules(),
    answer.Rules(
        success=answer.Signs(path=answer.Condition.parse("messages.0.status = 0")),
        id_path=answer.Condition.parse("messages.0.id"),
    ),
    answer.Rules(fail=answer.Signs(text="error"), success=answer.Signs(text="ID")),
)
JSON = (b'{"messages":[{"status":"0","id":', b"ID: ", b"error", b"[" * 500, b"null", b"1e999", b"")


def gateway_answers(octets: bytes) -> None:
    """Answers of HTTP gateways and of sipgate: a verdict, which tells no secret."""
    dough = Dough(octets)
    headers = {"Retry-After": dough.text()} if dough.number(3) == 0 else {}
    status = dough.one((200, 200, 202, 302, 400, 401, 429, 500, 503, dough.number(1000)))
    rules = dough.one(RULES)
    secrets = dough.one((b"", PASSWORD.encode(), SMS.phone.encode(), SMS.code.encode()))
    body = dough.one(JSON) + secrets + dough.rest()

    def quote(said: str, limit: int) -> str:
        return excerpt(said, limit, secrets=[PASSWORD], message=SMS)

    verdict = answer.judge(answer.Answer(status, headers, body), rules, quote, NOW)
    assert isinstance(verdict, Receipt | DeliveryError)
    _tells_nothing(str(verdict))
    try:
        told = sipgate._read(body, quote)
    except Unknown as error:
        told = error
    _tells_nothing(str(told) if isinstance(told, DeliveryError) else "…")


def _tells_nothing(shown: str) -> None:
    assert shown
    for secret in (PASSWORD, SMS.phone[1:], SMS.code, KEY.hex()[:20]):
        assert secret not in shown, "a secret was quoted"


class _Port:
    """A serial port on which these octets come, and then nothing ever."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    @property
    def in_waiting(self) -> int:
        return len(self._octets)

    def read(self, size: int) -> bytes:
        taken, self._octets = self._octets[:size], self._octets[size:]
        if not taken:
            raise OSError
        return taken

    def write(self, data: bytes) -> int:
        return len(data)

    def close(self) -> None:
        """Nothing to close."""


MODEM = (
    b"OK\r\n",
    b"\r\n> ",
    b"+CMGS: 42\r\n",
    b"+CDS: 25\r\n",
    b"+CMS ERROR: ",
    b"+CME ERROR: 10\r\n",
)


def modem_lines(octets: bytes) -> None:
    """What a modem says: an answer, a report, or a fault."""
    dough = Dough(octets)
    said = b"".join(dough.one((*MODEM, dough.octets(20))) for _ in range(dough.number(12)))
    line = modem_at.Line(_Port(said + dough.rest()), "115200 baud")  # type: ignore[arg-type]
    try:
        for _ in range(3):
            line.command("AT+CSQ", float("inf"))
            line.submit("AT+CMGS=20", "00FF", float("inf"))
    except ModemError as error:
        _tells_nothing(error.text)
    assert len(line.receipts) <= 256
    words = said.decode("latin-1")
    explain(words, "AT+CMGS")
    pdu.message_reference(words)
    pdu.read_receipt_line(words)


def reports(octets: bytes) -> None:
    """Delivery reports: of a modem as PDU, of an SMSC as deliver_sm."""
    dough = Dough(octets)
    try:
        report = pdu.read_receipt(dough.octets(64).hex() if dough.number(2) else dough.text())
    except ValueError:
        pass
    else:
        assert report.meaning
    # SMPP 3.4 3.2: length, command_id of deliver_sm, status, sequence; `Session` sees to those.
    body = dough.rest()
    raw = (16 + len(body)).to_bytes(4, "big") + b"\0\0\0\5" + bytes(4) + b"\0\0\0\1" + body
    told = session.read_receipt(raw)
    assert told is None or told.message_id


def texts(octets: bytes) -> None:
    """Names, numbers, PINs and texts that people choose."""
    dough = Dough(octets)
    raw = dough.octets(64)
    password = pin.decode(raw)
    assert pin.normalise(password) == password
    typed = dough.text()
    assert identity.fold_name(identity.fold_name(typed)) == identity.fold_name(typed)
    forms.split(password, 6, ("{pin}{code}", "{code}, {pin}", "SCRV1"))
    code.matches(typed, "482913")
    try:
        number = identity.normalise_number(typed, "DE")
    except ValueError:
        pass
    else:
        assert code.unseal(KEY, "0" * 32, code.seal(KEY, "0" * 32, number)) == number
        assert number[-4:] not in identity.mask_number(number)
        may = identity.Destinations(("DE", "+1"), special=("+49180",))
        if found := identity.obstacle(number, may):
            assert number[-4:] not in identity.tell_obstacle(number, found)
    pin.weakness(password, identity.fold_name(typed), "+491701234567")
    clean = typed.encode("utf-8", "replace").decode()
    values = {"code": "482913", "minutes": 5, "name": clean}
    placeholder.fill(typed, values)
    whole = message.compose(clean, values, transliterate=bool(dough.number(2)))
    parts = text.split(whole)
    assert "".join(parts) == whole
    assert "482913" in parts[0]
