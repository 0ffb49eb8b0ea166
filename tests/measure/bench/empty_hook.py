"""Runs inside radiusd: the least that a two-step login can be.  It checks and stores nothing."""

import radiusd

CHALLENGE = (
    radiusd.RLM_MODULE_HANDLED,
    (
        ("State", ":=", "0123456789abcdef0123456789abcdef"),
        ("Reply-Message", ":=", "Enter the code: "),
        ("Message-Authenticator", ":=", "0x00"),
    ),
    (("Response-Packet-Type", ":=", "Access-Challenge"),),
)
ACCEPT = (radiusd.RLM_MODULE_OK, (("Message-Authenticator", ":=", "0x00"),), ())


def authenticate(request):
    """A request with State is the second step."""
    return ACCEPT if any(pair[0] == "State" for pair in request) else CHALLENGE
