"""What the user reads when asked for the code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radius_smsotp import elsewhere
from radius_smsotp.core import placeholder
from radius_smsotp.outcome import Challenged

if TYPE_CHECKING:
    from radius_smsotp.client_policy import ClientPolicy
    from radius_smsotp.core.model import Challenge
    from radius_smsotp.pairs import Request


def ask(
    request: Request, challenge: Challenge, own: ClientPolicy, before: str = "", echo: str = ""
) -> Challenged:
    """
    Ask for the code of a challenge, with a sentence before the prompt if there is one.

    Args:
        echo: See `Challenged`.
    """
    style = elsewhere.style(request, own.style)
    values = {
        "phone_hint": challenge.phone_hint,
        "digits": challenge.digits,
        "minutes": challenge.minutes,
        "resend": own.login.resend_word,
    }
    template = own.prompt if style == "challenge" else own.texts.code_sent
    waiting = challenge.delivery.state == "queued" and not before
    return Challenged(
        challenge.transaction_id,
        before + placeholder.fill(template, values),
        style,
        own.wait if waiting else 0.0,
        challenge.delivery.route,
        echo,
        own.texts.undelivered,
    )


def wrong_code(challenge: Challenge, own: ClientPolicy) -> str:
    """What stands before the prompt after a wrong code."""
    return placeholder.fill(own.texts.wrong_code, {"guesses": challenge.guesses_left})
