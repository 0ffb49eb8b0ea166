"""Every reply is signed, and what BlastRADIUS (CVE-2024-3596) needs is not answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.freeradius import Radiusd, Site
from tests.support.radius import (
    ACCEPT,
    CHALLENGE,
    PROXY_STATE,
    REJECT,
    SECRET,
    STATE,
    USER_NAME,
    USER_PASSWORD,
    access_request,
    exchange,
    is_signed,
)
from tests.support.site import PIN

if TYPE_CHECKING:
    from pathlib import Path

KEY = SECRET.encode()
SILENCE = 0.5
"""Seconds after which no reply has come; what is answered at all is answered in milliseconds."""

LOGIN = [(USER_NAME, b"alice"), (USER_PASSWORD, PIN.encode())]
FROM_A_PROXY = [*LOGIN, (PROXY_STATE, b"x")]


def ask(radiusd: Radiusd, pairs: list[tuple[int, bytes]], *, signed: bool = True) -> int:
    """The code of the reply to a request, which is signed whether the request is or not."""
    request = access_request(KEY, pairs, signed=signed)
    reply = exchange(radiusd.port, request)
    assert reply is not None, radiusd.log()[-3000:]
    assert is_signed(KEY, request, reply)
    return reply[0]


def unanswered(radiusd: Radiusd, pairs: list[tuple[int, bytes]]) -> bool:
    """Whether an unsigned request with these attributes is dropped."""
    request = access_request(KEY, pairs, signed=False)
    return exchange(radiusd.port, request, SILENCE) is None


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_every_kind_of_reply_is_signed(site: Site, radiusd: Radiusd, signed: bool) -> None:
    """Also one to a client that does not sign: it may check what it does not send."""
    state = radiusd.challenge().state or b""
    if signed:
        assert ask(radiusd, FROM_A_PROXY) == CHALLENGE
    wrong = [(USER_NAME, b"alice"), (USER_PASSWORD, b"wrong")]
    code = [*LOGIN[:1], (USER_PASSWORD, site.code(state).encode()), (STATE, state)]
    other = site.start("signed" if signed else "unsigned")
    for pairs, kind in [
        (LOGIN, CHALLENGE),
        (wrong, REJECT),
        ([(USER_NAME, b"nobody"), (USER_PASSWORD, b"wrong")], REJECT),
        (LOGIN[:1], REJECT),
        (code, ACCEPT),
        (code, REJECT),
    ]:
        assert ask(other, pairs, signed=signed) == kind


def test_an_unsigned_request_cannot_hide_anything_in_proxy_state(site: Site) -> None:
    radiusd = site.start()
    assert site.server is not None
    if site.server.limits_proxy_state:
        assert unanswered(radiusd, FROM_A_PROXY)
        assert ask(radiusd, LOGIN, signed=False) == CHALLENGE
    else:
        # It cannot be told to: README says so, and what to do.
        assert ask(radiusd, FROM_A_PROXY, signed=False) == CHALLENGE


def test_a_client_that_has_signed_at_first_must_go_on(site: Site) -> None:
    radiusd = site.start()
    assert site.server is not None
    assert ask(radiusd, LOGIN) == CHALLENGE
    if site.server.limits_proxy_state:
        assert unanswered(radiusd, LOGIN)
    else:
        assert ask(radiusd, LOGIN, signed=False) == CHALLENGE


def test_signatures_can_be_demanded_of_every_request(site: Site) -> None:
    """On FreeRADIUS of any version."""

    def edit(raddb: Path) -> None:
        path = raddb / "clients.conf"
        kept = path.read_text().replace("require_message_authenticator = auto", "")
        path.write_text(kept.replace("\n}", "\n\trequire_message_authenticator = yes\n}"))

    radiusd = site.start(edit=edit)
    assert unanswered(radiusd, LOGIN)
    assert unanswered(radiusd, FROM_A_PROXY)
    assert ask(radiusd, LOGIN) == CHALLENGE
