"""The Grafana dashboard in freeradius/: every query of it, asked of a Prometheus after logins."""

from __future__ import annotations

import json
import math
import re
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.installation import PROGRAM, ROOT, environ
from tests.cli.statistics.prometheus import JOB, Prometheus
from tests.providers.modem.gsm_cable import TcpCable
from tests.providers.modem.gsm_modem import GsmModem
from tests.support.freeradius import PATIENT, Site
from tests.support.ports import free_port
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.freeradius import Radiusd

DASHBOARD = ROOT / "freeradius" / "monitoring" / "grafana-dashboard.json"

STATION = "02-00-00-00-00-01"

UNITS = {"short", "percentunit", "s"}
"""Those of Grafana that the dashboard uses: a number, a part of one, seconds."""

VARIABLES = {"__rate_interval": "5m", "__interval": "5m", "__range": "1h", "job": ".*"}
"""What Grafana puts in their place; `job` is its "All"."""


LOOKED = "max(count_over_time(up[1h]))"
"""How often Prometheus has looked."""

ENOUGH = 20


def dashboard() -> Any:
    """The dashboard, as Grafana reads it."""
    return json.loads(DASHBOARD.read_text("utf-8"))


def panels() -> list[dict[str, Any]]:
    """Its panels."""
    found: list[dict[str, Any]] = dashboard()["panels"]
    return found


def queries() -> list[str]:
    """What it asks Prometheus."""
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def filled(query: str, **more: str) -> str:
    """A query with Grafana's variables filled in."""
    for name, value in (VARIABLES | more).items():
        query = query.replace(f"${name}", value)
    assert "$" not in query
    return query


class Exporter:
    """`smsotp exporter` on a site."""

    def __init__(self, site: Site) -> None:
        command = ["--config", str(site.settings_path), "exporter", "--listen", "127.0.0.1:0"]
        self._process = subprocess.Popen(
            [*PROGRAM, *command], env=environ(), stderr=subprocess.PIPE, text=True
        )
        assert self._process.stderr is not None
        line = self._process.stderr.readline()
        found = re.search(r"http://(\S+)/metrics", line)
        if not found:
            self.end()
            pytest.fail(line)
        self.address = found[1]

    def end(self) -> None:
        """Stop it."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One that has seen all that can happen at a real FreeRADIUS."""
    folder = tmp_path_factory.mktemp("dashboard")
    with GsmModem(TcpCable()) as modem:
        chain = {
            # Nobody answers there.
            "gateway": {
                "type": "http",
                "url": f"http://127.0.0.1:{free_port()}/",
                "parameter": {"to": "{phone}", "text": "{message}"},
                "price": 0.1,
            },
            "modem": {
                "type": "modem",
                "port": modem.cable.name,
                "delivery_receipt": True,
                "price": 0.05,
            },
        }
        site = Site(
            folder,
            providers=chain,
            currency="EUR",
            clients={"local": {"remember": 8}},
            delivery=PATIENT,
            limits={"cooldown": 0},
            lockout={"failures": 3},
        )
        exporter = Exporter(site)
        try:
            with Prometheus(folder / "prometheus", exporter.address) as one:
                radiusd = site.start()
                # 'increase' does not count what was there when it looked for the first time.
                eventually(lambda: one.value(LOOKED) > 1)
                logins(site, radiusd, modem)
                seen = 'sum(smsotp_refusals_total{reason="wrong-pin"})'
                eventually(lambda: one.value(seen) == 3)
                # What became of a message is recorded beside the answer.
                sent = 'sum(smsotp_messages_total{verdict="accepted"})'
                eventually(lambda: one.value(sent) == 3)
                # And with few looks it reckons with much that it has not seen.
                eventually(lambda: one.value(LOOKED) > ENOUGH)
                yield one
        finally:
            exporter.end()
            site.close()


def logins(site: Site, radiusd: Radiusd, modem: GsmModem) -> None:
    """What the panels tell of."""
    site.add("alice")
    site.add("bob", "+491709999999")
    # The same code once more, a wrong one, the right one; the messages arrive.
    first = radiusd.ask(station=STATION)
    for answer in ("r", "000000"):
        assert radiusd.ask("alice", answer, first.state, STATION).kind == "Access-Challenge"
    assert radiusd.ask("alice", code_in(modem), first.state, STATION).kind == "Access-Accept"
    for event in site.events("alice"):
        if event.kind == "sms-accepted":
            modem.receipt(int(str(event.detail["message_id"])))
    eventually(lambda: "sms-delivered" in site.kinds("alice"))
    # A remembered device; one that is not, whose login stays open.
    assert radiusd.ask(station=STATION).kind == "Access-Accept"
    assert radiusd.ask().kind == "Access-Challenge"
    # The gateway that nobody answers at is skipped from here on.
    eventually(lambda: is_skipped(site, "gateway"))
    for _ in range(3):
        assert radiusd.ask("bob", "wrong").kind == "Access-Reject"
    assert radiusd.ask("bob", PIN).kind == "Access-Reject"


def is_skipped(site: Site, provider: str) -> bool:
    """Whether a provider is not tried at present."""
    with site.store.read() as tx:
        return tx.breakers().get(provider, ("closed",))[0] == "open"


def code_in(modem: GsmModem) -> str:
    """The code of the last message."""
    found = re.search(r"\b\d{6}\b", modem.received()[-1][1])
    assert found
    return found[0]


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: f"{panel['id']} {panel['title']}")
def test_each_query_has_an_answer_with_the_labels_of_its_legend(
    prometheus: Prometheus, panel: dict[str, Any]
) -> None:
    for target in panel["targets"]:
        query = filled(target["expr"])
        if target.get("instant"):
            answer = prometheus.ask("query", query=query)
            assert answer["resultType"] == "vector"
            series = [(one["metric"], one["value"][1]) for one in answer["result"]]
        else:
            now = time.time()
            answer = prometheus.ask(
                "query_range", query=query, start=str(now - 60), end=str(now), step="5"
            )
            series = [(one["metric"], one["values"][-1][1]) for one in answer["result"]]
        assert series, query
        assert all(math.isfinite(float(value)) for _, value in series), (query, series)
        wanted = set(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")))
        for labels, _ in series:
            assert set(labels) == wanted, query
        # Two lines of a panel by the same name could not be told apart.
        assert wanted or len(series) == 1, query


def test_what_the_panels_show_is_what_has_happened(prometheus: Prometheus) -> None:
    shown = {
        panel["title"]: round(prometheus.value(filled(panel["targets"][0]["expr"])), 2)
        for panel in panels()
        if panel["type"] == "stat"
    }
    assert shown["Codes that came back"] == pytest.approx(1 / 2, abs=0.1)
    # 'increase' reckons a little more or less than there was.
    assert shown["Logins"] == pytest.approx(2, abs=0.5)
    assert shown["SMS sent"] == pytest.approx(3, abs=0.7)
    assert shown["Cost"] == pytest.approx(3 * 0.05, abs=0.04)
    assert shown["Waiting messages"] == 0
    assert shown["Providers"] == 1


def test_its_variables_find_the_exporter(prometheus: Prometheus) -> None:
    source, job = dashboard()["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == (
        *("datasource", "datasource"),
        "prometheus",
    )
    found = re.fullmatch(r"label_values\((\w+), (\w+)\)", job["query"]["query"])
    assert found
    assert prometheus.ask(f"label/{found[2]}/values", **{"match[]": found[1]}) == [JOB]
    for query in queries():
        assert 'job=~"$job"' in query
        assert prometheus.ask("query", query=filled(query, job="another"))["result"] == []


class TestTheFile:
    """What Grafana expects of a dashboard."""

    def test_each_panel_has_a_number_and_a_place_of_its_own(self) -> None:
        assert len({panel["id"] for panel in panels()}) == len(panels())
        taken: set[tuple[int, int]] = set()
        for panel in panels():
            at = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(at["x"], at["x"] + at["w"])
                for y in range(at["y"], at["y"] + at["h"])
            }
            assert not cells & taken, panel["title"]
            assert max(x for x, _ in cells) < 24
            taken |= cells

    def test_the_data_source_is_the_one_that_is_chosen_above(self) -> None:
        wanted = {"type": "prometheus", "uid": "${datasource}"}
        for panel in panels():
            assert panel["datasource"] == wanted
            assert all(target["datasource"] == wanted for target in panel["targets"])
        assert dashboard()["templating"]["list"][1]["datasource"] == wanted
        assert "id" not in dashboard(), "Grafana gives it a number itself"

    def test_each_panel_says_what_it_shows_and_in_which_unit(self) -> None:
        for panel in panels():
            assert panel["description"].endswith("."), panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
            letters = [target["refId"] for target in panel["targets"]]
            assert letters == list("ABC"[: len(letters)])

    def test_bars_are_long_enough_to_hold_two_looks_of_prometheus(self) -> None:
        """`increase` over less than two scrapes, which are a minute apart mostly, is nothing."""
        for panel in panels():
            if any("$__interval" in target["expr"] for target in panel["targets"]):
                assert panel["interval"] == "5m", panel["title"]
