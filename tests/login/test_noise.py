"""Who fails in numbers is refused before it costs anything, and nobody else is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.login import noise
from radius_smsotp.login.noise import (
    AGAIN,
    CLIENT,
    KEPT,
    LEAST,
    LOST,
    MOST,
    MOST_OF_ALL,
    STATION,
    TOLD,
    Level,
    Noise,
    added,
    fits,
    is_used_up,
    left,
    of_name,
    rounds,
)
from radius_smsotp.model import pin
from radius_smsotp.model.records import Client

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = of_name(10)
ROOM = MOST // LEAST
"""First steps that noise may have under way at once."""

VPN = Client("vpn", "192.0.2.1")
HOME = Client("vpn", "192.0.2.1", "198.51.100.7")
OFFICE = Client("vpn", "192.0.2.1", "203.0.113.1")
OTHER = Client("wifi", "192.0.2.2")


class Server:
    """The part of a server that noise meets, with a clock that is moved."""

    def __init__(self, cores: int = 1) -> None:
        self.noise = Noise(cores)
        self.now = 1000.0
        self.under_way: list[str] = []
        self._number = 0

    def begin(self, name: str, client: Client = VPN, rounds: int = 1) -> bool:
        """A first step comes.  Returns whether it has begun; then it is under way."""
        entry = self.noise.ask(name, client, self.now)
        self._number += 1
        packet = f"0x{self._number:032x}"
        if entry is None or not self.noise.begin(entry, packet, rounds, self.now):
            return False
        self.under_way.append(packet)
        return True

    def fail(self, name: str, client: Client = VPN) -> bool:
        """A first step that fails, if it is not held back."""
        if not self.begin(name, client):
            return False
        self.noise.end(self.under_way.pop())
        self.noise.failed(name, client, self.now)
        return True

    def empty(self) -> None:
        """All that is under way ends."""
        while self.under_way:
            self.noise.end(self.under_way.pop())

    def make_noise(self, client: Client = VPN, number: int = 200) -> int:
        """Made-up names, one after the other.  Returns how many were not held back."""
        self._number += 1
        return sum(self.fail(f"user{self._number}-{one}", client) for one in range(number))

    def fill(self, client: Client = VPN) -> None:
        """As much noise as there may be under way at once."""
        self.make_noise(client)
        self.empty()
        for one in range(ROOM):
            assert self.begin(f"filler{one}", client)
        assert not self.begin(f"one-too-many{self._number}", client)

    def log_in(self, name: str, client: Client = VPN) -> bool:
        """A login, whole."""
        if not self.begin(name, client):
            return False
        self.noise.end(self.under_way.pop())
        self.noise.succeeded(name, client, self.now, whole=True)
        return True


@pytest.fixture
def server() -> Server:
    return Server()


class TestBudgets:
    def test_a_budget_that_nobody_has_used_is_full(self) -> None:
        assert left(None, NAME, 5.0) == NAME.burst

    def test_it_comes_back_with_time_and_never_to_more_than_it_was(self) -> None:
        level = Level(2.0, 100.0)
        assert left(level, CLIENT, 100.0) == 2
        assert left(level, CLIENT, 103.0) == 2 + 3 * CLIENT.per_second
        assert left(level, CLIENT, 1e9) == CLIENT.burst

    def test_one_that_was_used_up_has_to_come_back_for_a_while(self) -> None:
        """Else noise would be free once a second, for as many as come in that moment."""
        level = None
        for _ in range(int(STATION.burst)):
            assert not is_used_up(level, STATION, 5.0)
            level = added(level, -1, STATION, 5.0)
        while left(level, STATION, 5.0) < STATION.again:
            assert is_used_up(level, STATION, 5.0)
            level = added(level, 1, STATION, 5.0)
        assert not is_used_up(level, STATION, 5.0)
        assert not is_used_up(added(level, -20, STATION, 5.0), STATION, 5.0)

    def test_a_name_that_fails_too_often_where_it_comes_from_is_held_back(
        self, server: Server
    ) -> None:
        """And only there: nobody locks its user out from another place."""
        assert sum(server.fail("alice", OFFICE) for _ in range(100)) == NAME.burst
        assert server.fail("alice", HOME)
        assert server.fail("alice", OTHER)
        assert not server.fail("alice", OFFICE)
        server.now += 1 / NAME.per_second
        assert server.fail("alice", OFFICE)
        assert not server.fail("alice", OFFICE)

    def test_it_is_never_held_back_by_what_does_not_lock_it(self, server: Server) -> None:
        """Where the settings let more fail before an account is locked."""
        server.noise.names.allowance = of_name(1000)
        assert sum(server.fail("alice", HOME) for _ in range(1000)) == 1000

    @pytest.mark.parametrize("client", [VPN, HOME], ids=["no station", "station"])
    def test_noise_is_not_held_back_while_there_is_room(
        self, server: Server, client: Client
    ) -> None:
        """As much as the machine can do, one after the other."""
        assert server.make_noise(client, 1000) == 1000

    def test_a_client_that_is_none_of_it_has_no_bound(self, server: Server) -> None:
        """However many log in at once, and however slow the directory is that they wait for."""
        server.fill()
        assert all(server.begin(f"user{one}", OTHER) for one in range(5 * ROOM))

    def test_many_who_log_in_at_once_are_all_let_in(self, server: Server) -> None:
        """A Wi-Fi in the morning: some mistype."""
        for number in range(5000):
            assert server.begin(f"user{number}", OFFICE)
        for number in range(5000):
            server.noise.end(server.under_way[number])
            if number % 5 == 0:
                server.noise.failed(f"user{number}", OFFICE, server.now)
            else:
                server.noise.succeeded(f"user{number}", OFFICE, server.now, whole=False)
        assert all(server.begin(f"user{number}", OFFICE) for number in range(5 * ROOM))

    def test_failures_that_are_none_of_noise_are_forgotten_with_time(self, server: Server) -> None:
        for _ in range(1000):
            server.fail("alice", VPN)
            server.now += 1 / NAME.per_second
        assert all(server.begin(f"user{one}") for one in range(5 * ROOM))


class TestRoom:
    def test_noise_has_only_so_much_under_way(self, server: Server) -> None:
        """What ends makes room for another one."""
        server.fill()
        server.noise.end(server.under_way.pop())
        assert server.begin("next")
        assert not server.begin("over")

    def test_it_is_measured_in_work(self, server: Server) -> None:
        """A hash of many rounds takes the room of many."""
        server.make_noise()
        assert server.begin("slow1", rounds=MOST // 2)
        assert server.begin("slow2", rounds=MOST // 2)
        assert not server.begin("slow3", rounds=MOST // 2)
        server.noise.end(server.under_way.pop())
        assert server.begin("quick")
        assert not server.begin("slow4", rounds=MOST // 2)

    def test_who_comes_again_goes_first_with_a_slow_hash_too(self, server: Server) -> None:
        server.make_noise()
        while server.begin(f"x{len(server.under_way)}", rounds=MOST // 3):
            pass
        assert not server.begin("alice", rounds=MOST // 2)
        assert server.begin("alice", rounds=MOST // 2)

    def test_one_is_never_too_many(self, server: Server) -> None:
        """Be the hash as slow as it may."""
        server.make_noise()
        assert server.begin("very-slow", rounds=10 * MOST)
        assert not server.begin("another", rounds=10 * MOST)

    def test_who_comes_again_goes_first(self, server: Server) -> None:
        """People do, made-up names do not; it is the same for a name that nobody has."""
        server.fill()
        for name in ("alice", "nobody"):
            assert not server.begin(name)
            server.now += 1
            assert server.begin(name)
            assert not server.begin(f"made-up for {name}")

    def test_not_after_a_while_and_not_without_end(self, server: Server) -> None:
        server.fill()
        assert not server.begin("alice")
        for _ in range(4):
            server.now += AGAIN / 4
            server.fill()
        assert not server.begin("alice")
        names = [f"again{one}" for one in range(5 * ROOM)]
        assert not any(map(server.begin, names))
        assert sum(map(server.begin, names)) == ROOM

    def test_as_long_as_it_goes_on_time_gives_nothing_back(self, server: Server) -> None:
        """A directory that hangs, say: what waits for it has not failed yet."""
        server.fill()
        for number in range(int(LOST) - 1):
            server.now += 1
            assert not any(server.begin(f"held{number}-{one}") for one in range(10))

    def test_right_first_factors_give_back_one_each(self, server: Server) -> None:
        """Whose codes are on their way."""
        server.make_noise()
        for number in range(int(CLIENT.again)):
            assert server.begin(f"user{number}")
            server.noise.end(server.under_way.pop())
            server.noise.succeeded(f"user{number}", VPN, server.now, whole=False)
        assert all(server.begin(f"user{one}") for one in range(5 * ROOM))

    def test_what_never_ended_is_under_way_no_more(self, server: Server) -> None:
        """FreeRADIUS has given it up, and tells nobody."""
        server.fill()
        server.now += LOST - 1
        server.make_noise()
        assert not server.begin("before")
        server.now += 1
        server.make_noise()
        assert sum(server.begin(f"after{one}") for one in range(5 * ROOM)) == ROOM

    def test_a_policy_that_names_no_packet_has_no_bound(self, server: Server) -> None:
        server.make_noise()
        for _ in range(5 * ROOM):
            entry = server.noise.ask("alice", VPN, server.now)
            assert entry is not None
            assert server.noise.begin(entry, "", 1, server.now)

    def test_who_makes_noise_shares_the_room(self) -> None:
        """While one has all of it, another may still have its share."""
        full = {("vpn",): float(MOST)}
        assert not fits(full, ("vpn",), LEAST, MOST)
        assert fits(full, ("wifi",), LEAST, MOST)
        both = full | {("wifi",): MOST / 4}
        assert fits(both, ("wifi",), LEAST, MOST)
        assert not fits(both | {("wifi",): MOST / 2}, ("wifi",), LEAST, MOST)

    def test_what_a_first_step_costs(self) -> None:
        """A hash as many rounds as it has, and nothing if another module checks it."""
        assert rounds(None) == 0
        assert rounds(pin.decoy(bytes(80), 210_000)) == 210_000


class TestAll:
    """What anybody may have under way."""

    def test_more_hashes_than_anybody_could_wait_for_are_not_begun(self, server: Server) -> None:
        """Before any of them has failed: if all run at once, none ends in time."""
        most = MOST_OF_ALL // 210_000
        begun = sum(server.begin(f"user{one}", rounds=210_000) for one in range(500))
        assert begun == most
        assert server.begin("cheap", rounds=1000)
        assert server.begin("another client's", OTHER, 210_000)
        report = server.noise.report(VPN, server.now)
        assert report is not None
        assert (report.failures, report.held) == (0, 500 - most)
        server.empty()
        assert server.begin("next", rounds=210_000)

    def test_each_core_computes_as_many(self) -> None:
        server = Server(cores=4)
        begun = sum(server.begin(f"user{one}", rounds=10_000) for one in range(5000))
        assert begun == 4 * MOST_OF_ALL // 10_000

    def test_where_another_module_checks_the_password_there_is_no_bound(
        self, server: Server
    ) -> None:
        """However slow the directory is."""
        assert all(server.begin(f"user{one}", rounds=0) for one in range(5000))

    def test_stations_where_somebody_has_logged_in_do_not_wait_for_others(
        self, server: Server
    ) -> None:
        server.log_in("alice", HOME)
        while server.begin("x", VPN, 210_000):
            pass
        assert server.begin("alice", HOME, 210_000)


class TestStations:
    def test_one_from_which_somebody_has_logged_in_is_not_held_back_by_others(
        self, server: Server
    ) -> None:
        """Whoever asks there: that its user is not told apart from others is on purpose."""
        assert server.log_in("alice", HOME)
        for station in range(100):
            server.make_noise(Client("vpn", "192.0.2.1", f"10.0.0.{station}"), 10)
        server.fill(VPN)
        for name in ("alice", "bob", "nobody"):
            assert all(server.begin(name, HOME) for _ in range(ROOM))
        assert not server.begin("alice", OFFICE)
        assert not server.begin("alice", VPN)

    def test_noise_of_a_station_holds_back_no_other_one(self, server: Server) -> None:
        """Not even those that nobody has logged in from, as long as they share the room."""
        assert server.log_in("alice", HOME)
        server.make_noise(OFFICE)
        for one in range(ROOM):
            assert server.begin(f"filler{one}", OFFICE)
        assert not server.begin("over", OFFICE)
        assert all(server.begin(f"user{one}", HOME) for one in range(ROOM))
        assert server.begin("bob", Client("vpn", "192.0.2.1", "10.0.0.1"))

    def test_where_somebody_has_logged_in_noise_is_noise(self, server: Server) -> None:
        """Whoever it is there: one who knows a PIN shall not have all threads either."""
        server.log_in("alice", HOME)
        server.fill(HOME)
        for name in ("alice", "nobody"):
            assert not server.begin(name, HOME)

    def test_a_whole_login_gives_back(self, server: Server) -> None:
        """Many people are behind one address."""
        server.fill(OFFICE)
        server.noise.succeeded("alice", OFFICE, server.now, whole=True)
        assert all(server.begin(f"user{one}", OFFICE) for one in range(5 * ROOM))

    def test_but_not_to_a_client_all_that_others_have_used_up(self, server: Server) -> None:
        server.make_noise(VPN, 1000)
        server.noise.succeeded("alice", VPN, server.now, whole=True)
        assert server.make_noise(VPN, int(CLIENT.returned)) == CLIENT.returned
        server.fill(VPN)


class TestReports:
    def test_a_client_is_told_of_once_in_a_while(self, server: Server) -> None:
        """With what has come since."""
        server.make_noise(VPN, int(CLIENT.burst) - 1)
        assert server.noise.report(VPN, server.now) is None
        server.fail("one-more")
        first = server.noise.report(VPN, server.now)
        assert first is not None
        assert (first.station, first.failures, first.held) == ("", CLIENT.burst, 0)
        server.fill()
        assert server.noise.report(VPN, server.now) is None
        for number in range(int(TOLD)):
            server.now += 1
            if number % 20 == 19:
                server.fill()  # what was under way is lost after a while
            assert not server.begin(f"held{number}")
        second = server.noise.report(VPN, server.now)
        assert second is not None
        assert second.held > TOLD

    def test_it_names_the_station_that_has_none_left(self, server: Server) -> None:
        server.make_noise(OFFICE)
        report = server.noise.report(OFFICE, server.now)
        assert report is not None
        assert report.station == OFFICE.station

    def test_it_names_none_where_it_comes_from_many(self, server: Server) -> None:
        for station in range(100):
            server.fail("x", Client("vpn", "", f"10.0.0.{station}"))
        report = server.noise.report(Client("vpn", "", "10.0.0.99"), server.now)
        assert report is not None
        assert report.station == ""

    def test_a_device_that_has_kept_an_old_pin_is_no_noise_of_its_client(
        self, server: Server
    ) -> None:
        held = 0
        for _ in range(1000):
            held += not server.fail("alice", HOME)
            server.now += 5
        assert held > 100
        assert server.noise.report(HOME, server.now) is None

    def test_what_has_been_quiet_begins_anew(self, server: Server) -> None:
        server.make_noise(VPN, 10)
        server.now += 3600
        server.make_noise(VPN, int(CLIENT.burst))
        report = server.noise.report(VPN, server.now)
        assert report is not None
        assert report.failures == CLIENT.burst

    def test_failures_as_they_happen_are_not_told_of(self, server: Server) -> None:
        for number in range(5000):
            server.fail(f"user{number}")
            server.now += 1 / CLIENT.per_second
            assert server.noise.report(VPN, server.now) is None


@pytest.mark.parametrize(
    "client",
    [lambda _: VPN, lambda n: Client("vpn", "", f"s{n}"), lambda n: Client(f"client{n}")],
    ids=["names", "stations", "clients"],
)
def test_what_is_kept_is_bounded(server: Server, client: Callable[[int], Client]) -> None:
    for number in range(3 * KEPT):
        name, where = f"user{number}", client(number)
        server.noise.failed(name, where, server.now)
        server.noise.succeeded(name, where, server.now, whole=True)
        server.begin(name, where)
        server.noise.report(where, server.now)
    kept = [value for value in vars(server.noise).values() if isinstance(value, dict)]
    budgets = (server.noise.names, server.noise._stations, server.noise._clients)
    kept += [one.levels for one in budgets]
    sizes = [len(one) for one in kept]
    assert KEPT in sizes
    assert max(sizes) <= KEPT
    assert sys.getsizeof(server.noise._held) < 2**20


def test_names_that_failed_once_are_forgotten_when_that_is_made_up_for(server: Server) -> None:
    """Made-up names do not come again: without an end they would fill what is kept of them."""
    for number in range(KEPT):
        server.noise.failed(f"user{number}", VPN, server.now + number)
    assert len(server.noise.names.levels) == 10  # one failure is made up for in ten seconds


def test_the_numbers_are_as_the_documents_say() -> None:
    assert (NAME.burst, STATION.burst, CLIENT.burst, ROOM) == (30, 60, 30, 16)
    assert noise.__doc__ is not None
