"""One fault under load, and what came of it."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from radius_smsotp.model import pin
from radius_smsotp.model.records import Account
from radius_smsotp.settings import keyring
from tests.measure.cluster.load import Gateway, Load
from tests.measure.cluster.machines import PASSWORD, Cluster
from tests.measure.cluster.network import BRIDGE, PREFIX, network
from tests.store.postgres_server import room
from tests.support.freeradius import Radiusd, Site
from tests.support.radius import NoReplyError, RadiusClient
from tests.support.site import PIN, ROUNDS, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.measure.cluster.faults import Fault
    from tests.measure.cluster.load import Login
    from tests.measure.cluster.machines import Member
    from tests.measure.cluster.network import Host

LONGEST = 300
"""Seconds of load for which there are users."""

PATIENCE = 3.0
"""Seconds that a client waits for a reply."""

SETTLED = 10
"""Logins in a row that are accepted once a fault is over."""

RECOVERS_IN = 120.0
"""Seconds after which a fault that nothing recovers from ends the run."""

AT_ONCE = 6
"""Codes that are shown again side by side."""

CAME_BACK = re.compile(r"(\d+) codes that were accepted here had come back")


@dataclass
class Result:
    """
    What came of a fault.

    Attributes:
        without_first, without_accept: Seconds, the longest from one to the next.
        logins, failed: How many there were.
        failures: Why, and how often.
        twice_here, twice_elsewhere: Codes that were accepted again by the server that had accepted
            them, or by the other one.
        marks_lost: Accepted codes that the database has forgotten to be spent.
        sms_twice: Messages that came more than once.
        sms_useless: Messages with a code that is not accepted anywhere, and was not.
        backends: The most that PostgreSQL ran for both servers.
    """

    name: str
    without_first: float = 0.0
    without_accept: float = 0.0
    logins: int = 0
    failed: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    twice_here: int = 0
    twice_elsewhere: int = 0
    marks_lost: int = 0
    sms_twice: int = 0
    sms_useless: int = 0
    backends: int = 0


class Round:
    """
    A cluster with two RADIUS servers, and one fault that happens to it.

    Args:
        hosts: etcd's, those of the databases, those of the RADIUS servers.
    """

    def __init__(self, fault: Fault, folder: Path, hosts: list[Host]) -> None:
        self._fault = fault
        self._hosts = hosts[4:]
        self._folder = folder
        self.cluster = Cluster(hosts[:4], folder, fault.changed)
        self._fronts = [self.cluster.fronts[name] for name in fault.fronts]
        self._gateway = Gateway(BRIDGE)
        self._sites: list[Site] = []
        self._daemons: list[Radiusd] = []

    def run(self, before: float, rate: float) -> Result:
        """
        Do it.

        Args:
            before: Seconds of load without a fault.
            rate: Logins a second.
        """
        self.cluster.start()
        for front in self._fronts:
            front.start()
            eventually(front.leads)
        self._start_servers(int(rate * LONGEST))
        self.cluster.complete()
        clients = self._clients(PATIENCE)
        load = Load(clients, self._gateway, self._users, rate)
        gauge = _Gauge(self.cluster)
        load.recover(SETTLED, RECOVERS_IN)
        time.sleep(before)
        leader = self.cluster.leader()
        begin = time.monotonic()
        self._fault.happen(self.cluster, leader, self._hosts)
        load.recover(SETTLED, RECOVERS_IN)
        end = time.monotonic()
        load.stop()
        result = Result(self._fault.name, backends=gauge.stop())
        self._tell_times(result, load.logins, begin, end)
        self._show_again(result, load.logins)
        return result

    def close(self) -> None:
        """End everything."""
        for one in self._sites:
            one.close()
        self._gateway.close()

    def story(self) -> str:
        """What everybody has said last, for who has to find out why."""
        logs = [f"-- radiusd\n{one.log()[-5000:]}" for one in self._daemons]
        return "\n".join([self.cluster.story(), *logs])

    def _start_servers(self, users: int) -> None:
        hosts = ",".join(one.host.address for one in self.cluster.members)
        for front in self._fronts:
            hosts = f"{front.host.address}:{front.port}"
        passwords = self._folder / "pgpass"
        passwords.write_text(f"*:*:*:smsotp:{PASSWORD}\n")
        passwords.chmod(0o600)
        sections = {
            "store": f"postgresql://smsotp@{hosts}/smsotp?passfile={passwords}",
            "code": {"lifetime": 900},
            "limits": dict.fromkeys(("per_account_hour", "per_number_hour", "per_day"), 10**6),
            "providers": {"gateway": self._gateway.settings},
        }
        for host in self._hosts:
            folder = self._folder / f"radius-{host.address}"
            folder.mkdir()
            self._sites.append(Site(folder, **sections))
            if len(self._sites) > 1:
                shutil.copy(self._sites[0].folder / "key", folder / "key")
        self._add_users(self._sites[0], users)
        with ThreadPoolExecutor() as pool:
            self._daemons = list(pool.map(_start, self._sites, self._hosts))

    def _add_users(self, site: Site, number: int) -> None:
        keys = keyring.read(site.folder / "key")
        digest = pin.digest(PIN, b"0123456789abcdef", ROUNDS)
        self._users = [f"user{place}" for place in range(number)]
        with site.store.write() as tx:
            # As if both had run before: each knows of another one.
            tx.put_server("another:/etc/radius-smsotp/smsotp.yaml", datetime.now(UTC))
            for place, name in enumerate(self._users):
                sealed = keys.seal_pin(name, digest)
                tx.put_account(Account(name, f"+4917{place:08}", sealed), datetime.now(UTC))

    def _clients(self, patience: float) -> list[RadiusClient]:
        return [
            RadiusClient(daemon.port, host=host.address, patience=patience)
            for daemon, host in zip(self._daemons, self._hosts, strict=True)
        ]

    def _tell_times(
        self, result: Result, logins: Sequence[Login], begin: float, end: float
    ) -> None:
        result.without_first = _gap([one.challenged_at for one in logins], begin, end)
        result.without_accept = _gap([one.accepted_at for one in logins], begin, end)
        result.failures = Counter(one.failure for one in logins if one.failure)
        result.logins, result.failed = len(logins), result.failures.total()

    def _show_again(self, result: Result, logins: Sequence[Login]) -> None:
        """Show every code again whose login has come to an end."""
        gateway = self._gateway
        accepted = [one for one in logins if one.accepted_at is not None]
        given = {one.state: one for one in logins if one.state}
        states = self._states()
        log = "".join(one.log() for one in self._daemons)
        result.marks_lost = sum(map(int, CAME_BACK.findall(log)))
        result.marks_lost += sum(states.get(one.state) == "open" for one in accepted)
        result.sms_twice = sum(number > 1 for number in gateway.counted.values())
        clients = self._clients(20)

        def is_accepted(login: Login, server: int) -> bool:
            assert login.state is not None
            code = gateway.codes[login.state]
            with contextlib.suppress(NoReplyError):
                reply = clients[server].ask(login.user, code, login.state.encode())
                return reply.kind == "Access-Accept"
            return False

        lost = 0 if self._fault.loses_server else None

        def again(login: Login) -> tuple[bool, bool]:
            assert login.server is not None
            # The other one first: it does not know what the first one does.
            order = (1 - login.server, login.server)
            elsewhere, here = (one != lost and is_accepted(login, one) for one in order)
            return here, elsewhere

        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = list(pool.map(again, accepted))
            result.twice_here = sum(here for here, _ in found)
            result.twice_elsewhere = sum(elsewhere for _, elsewhere in found)
            ended = {one.state for one in accepted}
            left = [
                given.get(state)
                for state in gateway.codes.keys() - ended
                if states.get(state) != "spent"
            ]
            usable = pool.map(lambda one: one is not None and is_accepted(one, 1), left)
            result.sms_useless = sum(not one for one in usable)

    def _states(self) -> dict[str | None, str]:
        """transaction_id to what the database says of the challenge."""
        leader = self.cluster.leader()
        return dict(leader.sql("SELECT transaction_id, state FROM challenge", "smsotp"))


class _Gauge:
    """Looks all the while how many backends there are."""

    def __init__(self, cluster: Cluster) -> None:
        self._most = 0
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._look, args=(one,), daemon=True) for one in cluster.members
        ]
        for one in self._threads:
            one.start()

    def stop(self) -> int:
        """The most that there were on one host."""
        self._ending.set()
        return self._most

    def _look(self, member: Member) -> None:
        while not self._ending.wait(0.5):
            self._most = max(self._most, member.backends(BRIDGE))


@contextlib.contextmanager
def made(fault: Fault) -> Iterator[Round]:
    """A round, whose processes, network and folder are gone afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="smsotp-cluster-", dir=room()) as name,
        network(10, 11, 12, 13, 1, 2) as hosts,
    ):
        folder = Path(name)
        folder.chmod(0o755)
        one = Round(fault, folder, hosts)
        try:
            yield one
        finally:
            one.close()


def _start(site: Site, host: Host) -> Radiusd:
    """A radiusd on its host."""

    def listen_there(raddb: Path) -> None:
        _replace(raddb / "radiusd.conf", "ipaddr = 127.0.0.1", f"ipaddr = {host.address}")
        _replace(raddb / "clients.conf", "127.0.0.0/8", f"{PREFIX}0/24")

    # Leases and places in the store go by the name of the host.
    named = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', site.folder.name]
    return site.start(edit=listen_there, prefix=[*host.prefix, *named])


def _gap(times: Sequence[float | None], begin: float, end: float) -> float:
    """The longest from one to the next, seconds, between the last before the fault and the end."""
    known = sorted(one for one in times if one is not None and one <= end)
    before = [one for one in known if one <= begin][-1:]
    after = [one for one in known if one > begin]
    return max(next_one - one for one, next_one in pairwise([*before, *after, end]))


def _replace(path: Path, text: str, by: str) -> None:
    said = path.read_text("utf-8")
    assert text in said, said
    path.write_text(said.replace(text, by), encoding="utf-8")
