"""How much is measured: enough to trust the figures, or enough to see that it works."""

from __future__ import annotations

from dataclasses import dataclass

from radius_smsotp.cli.user.account import PASSWORD_ROUNDS
from radius_smsotp.settings.schema import PinSettings


@dataclass(frozen=True)
class Extent:
    """
    How long it all takes.

    Attributes:
        rounds: All is measured so often, in turn; a figure is the median.
        seconds: One run of logins.
        crowds: Users at once.
        hashes: Rounds of PIN hashes: by default, and as recommended for passwords.
        hashed: Rounds on each core, to see how many hashes a second it can do.
        gateway: Seconds that the slow gateway takes.
        hanging: Seconds for which the hanging gateway is watched.
        late: Seconds that our answers may come later, where other programs are at work.
        crowd: Users who wait for either.
        turned_away: Users who come at once to a gateway that takes two messages a second.
        sizes: Accounts, and past challenges and events, in a store.
        milliseconds: So far a database is away, each way.
        inside: Logins that are looked at from inside.
        lasting: Logins after which the memory is looked at.
    """

    rounds: int
    seconds: float
    crowds: tuple[int, ...]
    hashes: tuple[int, int]
    hashed: int
    gateway: float
    hanging: float
    late: float
    crowd: int
    turned_away: int
    sizes: tuple[int, ...]
    milliseconds: tuple[float, ...]
    inside: int
    lasting: int


FULL = Extent(
    rounds=3,
    seconds=4.0,
    crowds=(1, 32, 256),
    hashes=(PinSettings().iterations, PASSWORD_ROUNDS),
    hashed=1_000_000,
    gateway=1.0,
    hanging=10.0,
    late=0.0,
    crowd=200,
    turned_away=60,
    sizes=(1_000, 100_000, 1_000_000),
    milliseconds=(0, 1, 5, 20),
    inside=3000,
    lasting=20_000,
)
QUICK = Extent(
    rounds=1,
    seconds=0.1,
    crowds=(1, 32),
    hashes=(10, 210),
    hashed=1_000,
    gateway=0.2,
    hanging=1.5,
    late=60.0,
    crowd=40,
    turned_away=6,
    sizes=(100, 1_000),
    milliseconds=(1,),
    inside=20,
    lasting=20,
)
