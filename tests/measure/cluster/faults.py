"""What can happen to a cluster."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.measure.cluster.machines import Cluster, Member
    from tests.measure.cluster.network import Host

ASYNCHRONOUS = {"synchronous_mode: true": "synchronous_mode: false"}
STRICT = {"synchronous_mode_strict: false": "synchronous_mode_strict: true"}
NOT_SAFE = {"failsafe_mode: true": "failsafe_mode: false"}

FRONTS = ("haproxy", "pgbouncer")

WHOLE = ("patroni", "postgres")
"""The programs of a database's host."""


@dataclass(frozen=True)
class Fault:
    """
    One of them.

    Attributes:
        name: For the table.
        happen: Does it, and mends what comes to be mended; with the cluster, the primary of before,
            and the RADIUS servers' hosts.
        changed: What Patroni is told otherwise than the documents say.
        fronts: What stands before the databases, of which the RADIUS servers ask the last.
        loses_server: Whether the first of them is gone for good.
    """

    name: str
    happen: Callable[[Cluster, Member, list[Host]], None]
    changed: Mapping[str, str] = field(default_factory=dict)
    fronts: tuple[str, ...] = ()
    loses_server: bool = False


def _switch_over(cluster: Cluster, leader: Member, servers: list[Host]) -> None:
    assert leader.ask("/switchover", {"leader": leader.name})


def _kill_postgres(cluster: Cluster, leader: Member, servers: list[Host]) -> None:
    leader.host.signal(signal.SIGKILL, "postgres")


def _kill_both(cluster: Cluster, leader: Member, servers: list[Host]) -> None:
    leader.host.signal(signal.SIGKILL, *WHOLE)
    time.sleep(25)


def _freeze(cluster: Cluster, leader: Member, servers: list[Host]) -> None:
    leader.host.signal(signal.SIGSTOP, *WHOLE)
    time.sleep(30)
    leader.host.signal(signal.SIGCONT, *WHOLE)


def _freeze_patroni(cluster: Cluster, leader: Member, servers: list[Host]) -> None:
    leader.host.signal(signal.SIGSTOP, "patroni")
    time.sleep(45)
    leader.host.signal(signal.SIGCONT, "patroni")


def _vanish(cluster: Cluster, leader: Member, servers: list[Host]) -> None:
    leader.host.unplug()
    time.sleep(35)
    leader.host.plug()


def _isolate(cluster: Cluster, leader: Member, servers: list[Host]) -> None:
    others = [cluster.etcd.host, *(one.host for one in cluster.members if one is not leader)]
    leader.host.part(*others)
    time.sleep(35)
    leader.host.join(*others)


def _part_one_server(cluster: Cluster, leader: Member, servers: list[Host]) -> None:
    leader.host.part(servers[1])
    time.sleep(25)
    leader.host.join(servers[1])


def _end_etcd(cluster: Cluster, leader: Member, servers: list[Host]) -> None:
    cluster.etcd.host.signal(signal.SIGKILL, "etcd")
    time.sleep(30)
    cluster.etcd.start()


def _kill_standbys(cluster: Cluster, leader: Member, servers: list[Host]) -> None:
    standbys = [one for one in cluster.members if one is not leader]
    for one in standbys:
        one.host.signal(signal.SIGKILL, *WHOLE)
    time.sleep(20)
    for one in standbys:
        one.start()


def _kill_haproxy(cluster: Cluster, leader: Member, servers: list[Host]) -> None:
    cluster.haproxy.host.signal(signal.SIGKILL, "haproxy")
    time.sleep(1)
    cluster.haproxy.start()


def _lag_and_vanish(cluster: Cluster, leader: Member, servers: list[Host]) -> None:
    leader.host.part(*(one.host for one in cluster.members if one is not leader))
    time.sleep(4)
    _vanish(cluster, leader, servers)


def _lose_both(cluster: Cluster, leader: Member, servers: list[Host]) -> None:
    leader.host.part(*(one.host for one in cluster.members if one is not leader))
    time.sleep(4)
    servers[0].signal(signal.SIGKILL, "freeradius")
    _vanish(cluster, leader, servers)


FAULTS = {
    "switchover": Fault("switchover", _switch_over),
    "kill-postgres": Fault("``kill -9`` of PostgreSQL", _kill_postgres),
    "kill-both": Fault("``kill -9`` of Patroni and PostgreSQL", _kill_both),
    "freeze": Fault("both stopped for 30 s (SIGSTOP)", _freeze),
    "freeze-patroni": Fault("Patroni alone stopped for 45 s", _freeze_patroni),
    "vanish": Fault("the primary's host vanishes", _vanish),
    "isolate": Fault("the primary cut off from etcd and standbys", _isolate),
    "part": Fault("the primary cut off from one radiusd for 25 s", _part_one_server),
    "etcd": Fault("etcd gone for 30 s", _end_etcd),
    "etcd-unsafe": Fault("the same without ``failsafe_mode``", _end_etcd, NOT_SAFE),
    "strict": Fault("strict, both standbys killed for 20 s", _kill_standbys, STRICT),
    "haproxy": Fault(
        "HAProxy killed, and started a second later", _kill_haproxy, fronts=FRONTS[:1]
    ),
    "pooled-switchover": Fault("by PgBouncer: switchover", _switch_over, fronts=FRONTS),
    "pooled-kill": Fault(
        "by PgBouncer: ``kill -9`` of Patroni and PostgreSQL", _kill_both, fronts=FRONTS
    ),
    "async-isolate": Fault("asynchronous: the primary cut off", _isolate, ASYNCHRONOUS),
    "async-lag": Fault(
        "asynchronous: standbys cut off for 4 s, then its host vanishes",
        _lag_and_vanish,
        ASYNCHRONOUS,
    ),
    "async-both": Fault(
        "asynchronous: the same, and a radiusd is lost with it",
        _lose_both,
        ASYNCHRONOUS,
        loses_server=True,
    ),
}
"""By their names at the command line."""

QUICK = replace(FAULTS["kill-postgres"], changed={"loop_wait: 5": "loop_wait: 1"})
"""One for the tests: Patroni looks every second, and what is waited for comes sooner."""
