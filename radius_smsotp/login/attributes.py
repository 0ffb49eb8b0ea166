"""
What FreeRADIUS's modules say of an account: the attributes `SMSOTP-Phone`, `-Way`, `-Provider`,
`-Style` and `-Text`, from LDAP, SQL, a file.

Nobody can mend such a value at the time of a login.  What cannot be used is logged, without
the value of a number or a text, and what the settings say holds instead.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping

from radius_smsotp.login.request import Request
from radius_smsotp.model import identity, ways
from radius_smsotp.model.records import Style
from radius_smsotp.model.text import OF_CODE, placeholders

log = logging.getLogger(__name__)

STYLES: dict[str, Style] = {"challenge": "challenge", "reject": "reject"}


def number(
    request: Request, country: str | None, may: identity.Destinations
) -> tuple[str | None, tuple[str, ...]]:
    """
    Choose one of the values of `SMSOTP-Phone`.

    Args:
        country: Where national writings belong.
        may: Where messages may go.

    Returns:
        E.164: the first one that messages may go to, else the first one
        that is a number at all; None if none is.  And what is wrong with the others, as far as
        they were looked at: each as a sentence with its remedy, without the number.
    """
    readable: list[str] = []
    faults: list[str] = []
    several = len(request.phones) > 1
    for place, text in enumerate(request.phones, 1):
        which = f"value {place} of SMSOTP-Phone" if several else "SMSOTP-Phone"
        try:
            one = identity.normalise_number(text, country)
        except ValueError as error:
            faults.append(f"{which} {error}")
            continue
        obstacle = identity.obstacle(one, may)
        if obstacle is None:
            return one, tuple(faults)
        readable.append(one)
        faults.append(f"{which} {identity.tell_obstacle(one, obstacle)}")
    if not readable:
        for fault in faults:
            log.warning("%r: %s", request.user, fault)
    return next(iter(readable), None), tuple(faults)


def other_ways(
    request: Request, known: Mapping[str, ways.Kind], country: str | None
) -> list[ways.Way]:
    """The ways that the values of `SMSOTP-Way` name, in their order; see `model.ways`."""
    found = []
    for text in request.ways if known else ():
        try:
            found.append(ways.read(text, known, country))
        except ValueError as error:
            log.warning("a value of SMSOTP-Way of %r: %s", request.user, error)
    return found


def provider(request: Request, known: Collection[str]) -> str | None:
    """The provider that `SMSOTP-Provider` names, if there is one of that name."""
    if request.provider is None or request.provider in known:
        return request.provider
    log.warning("SMSOTP-Provider of %r is none of the providers", request.user)
    return None


def style(request: Request, usual: Style) -> Style:
    """How `SMSOTP-Style` wants the second step to be asked for."""
    if request.style is None:
        return usual
    if request.style not in STYLES:
        log.warning("SMSOTP-Style of %r is not one of %s", request.user, ", ".join(STYLES))
    return STYLES.get(request.style, usual)


def template(request: Request, usual: str) -> str:
    """The text that `SMSOTP-Text` wants to be sent; one without code would help nobody."""
    if request.template is None or placeholders(request.template) & set(OF_CODE):
        return request.template or usual
    log.warning("SMSOTP-Text of %r holds no {code}", request.user)
    return usual
