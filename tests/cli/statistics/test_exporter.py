"""``smsotp exporter``: what Prometheus gets, and what is made of it in freeradius/."""

from __future__ import annotations

import re
import socket
import subprocess
import urllib.request
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.settings import file, last_good
from tests.cli.installation import ROOT, Installation
from tests.cli.statistics.events import a_month
from tests.cli.statistics.test_dashboard import queries

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow
"""Each starts processes of its own."""

RULES = ROOT / "freeradius" / "monitoring" / "prometheus-rules.yml"


class Exporter:
    """The program, running."""

    def __init__(self, here: Installation) -> None:
        self.process = here.start("exporter", "--listen", "127.0.0.1:0", stderr=subprocess.PIPE)
        assert self.process.stderr is not None
        told = [self.process.stderr.readline()]
        if "WARNING" in told[0]:
            told.append(self.process.stderr.readline())
        found = re.search(r"http://\S+", told[-1])
        assert found, told
        self.url = found[0]

    def text(self) -> str:
        """What Prometheus reads."""
        with urllib.request.urlopen(self.url, timeout=30) as answer:
            return str(answer.read().decode())

    def values(self) -> dict[str, float]:
        """Series to value."""
        lines = (line for line in self.text().splitlines() if not line.startswith("#"))
        return {series: float(value) for series, _, value in (one.rpartition(" ") for one in lines)}

    def end(self) -> int:
        """Stop it.  Returns its exit code."""
        self.process.terminate()
        return self.process.wait(20)


def promtool(*arguments: str, text: str | None = None) -> str:
    """Prometheus's own checker."""
    done = subprocess.run(
        ["promtool", *arguments], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """One on a month in which much has happened, to the account alice."""
    here = Installation(tmp_path_factory.mktemp("month") / "site")
    a_month(here)
    here.done("user", "add", "alice", "--phone", "+491701234567")
    exporter = Exporter(here)
    yield exporter
    assert exporter.end() == 0
    here.close()


@pytest.mark.server
def test_promtool_finds_nothing_to_say(month: Exporter) -> None:
    assert promtool("check", "metrics", text=month.text()) == ""


def test_figures_of_all_that_happened(month: Exporter) -> None:
    found = month.values()
    assert found["smsotp_up"] == 1
    assert found["smsotp_challenges_total"] == 300
    assert found['smsotp_logins_total{method="code"}'] == 270
    assert found['smsotp_refusals_total{reason="locked",step="first"}'] == 30
    assert found['smsotp_refusals_total{reason="expired",step="second"}'] == 30
    assert found['smsotp_messages_total{provider="gateway",verdict="unavailable"}'] == 30
    assert found['smsotp_postponed_total{reason="busy"}'] == 30
    assert found['smsotp_postponed_total{reason="pace"}'] == 0
    assert found["smsotp_postponed_messages"] == 0
    name = "smsotp_message_duration_seconds"
    assert found[f'{name}_bucket{{le="0.25",provider="gateway"}}'] == 0
    assert found[f'{name}_bucket{{le="0.5",provider="gateway"}}'] == 270
    assert found[f'{name}_sum{{provider="gateway"}}'] == pytest.approx(81)
    name = "smsotp_message_arrival_seconds"
    assert found[f'{name}_bucket{{le="2.5",provider="gateway"}}'] == 0
    assert found[f'{name}_bucket{{le="5.0",provider="gateway"}}'] == 270
    assert found[f'{name}_sum{{provider="gateway"}}'] == pytest.approx(1080)
    assert found['smsotp_message_price{currency="CHF",provider="gateway"}'] == 0.08
    assert found['smsotp_accounts{state="enabled"}'] == 1
    assert found['smsotp_provider_up{provider="backup"}'] == 1


def test_counters_outlive_the_exporter_and_the_events(here: Installation) -> None:
    a_month(here)
    first = Exporter(here)
    before = counters(first.values())
    first.end()
    here.done("prune", "--days", "1")
    assert counters(Exporter(here).values()) == before


def test_what_is_new_is_seen_at_the_next_look(here: Installation) -> None:
    exporter = Exporter(here)
    series = 'smsotp_refusals_total{reason="unknown-account",step="first"}'
    assert exporter.values()[series] == 0
    here.node().first("nobody", "1234")
    assert exporter.values()[series] == 1
    here.write(providers={"other": {"type": "folder", "path": "outbox"}})
    assert 'smsotp_provider_up{provider="other"}' in exporter.values()


def test_a_store_that_is_gone_is_told_and_survived(here: Installation) -> None:
    exporter = Exporter(here)
    text = here.settings_path.read_text("utf-8")
    here.settings_path.write_text(text + "\ncolour: red\n", "utf-8")
    assert exporter.values() == {"smsotp_up": 0, 'smsotp_build_info{version="0.1.0"}': 1}
    here.settings_path.write_text(text + "\n\n", "utf-8")
    assert exporter.values()["smsotp_up"] == 1


def test_nothing_about_a_person_is_in_it(month: Exporter) -> None:
    text = month.text()
    assert "alice" not in text
    assert "1701234567" not in text


@pytest.mark.parametrize("given", ["nonsense", "127.0.0.1", "127.0.0.1:x", ":99999"])
def test_an_address_that_is_none_is_wrong_usage(here: Installation, given: str) -> None:
    result = here.run("exporter", "--listen", given)
    assert result.exit_code == 2
    assert "write HOST:PORT" in result.output


def test_an_address_in_use_is_a_sentence(here: Installation) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        done = here.run("exporter", "--listen", address)
    assert done.exit_code == 1
    assert f"smsotp: cannot listen on {address}: Address already in use" in done.stderr


class TestWhatIsMadeOfIt:
    """Alert rules and dashboard ask for what the exporter tells."""

    @pytest.mark.server
    def test_the_rules_are_sound(self) -> None:
        assert "SUCCESS" in promtool("check", "rules", str(RULES))

    def test_they_know_every_metric_they_ask_for(self, month: Exporter) -> None:
        known = {re.sub(r"\{.*", "", series) for series in month.values()}
        asked = set(re.findall(r"\bsmsotp_\w+", "\n".join(queries()) + RULES.read_text("utf-8")))
        assert len(asked) > 10
        assert asked <= known | {"smsotp_"}

    def test_they_know_every_label_and_value_they_ask_for(self, here: Installation) -> None:
        series = "\n".join(Exporter(here).values())
        text = "\n".join(queries()) + RULES.read_text("utf-8")
        for name, value in set(re.findall(r'(\w+)="([\w-]+)"', text)):
            assert f'{name}="{value}"' in series, (name, value)


def counters(values: dict[str, float]) -> dict[str, float]:
    """Those that may only grow."""
    return {series: value for series, value in values.items() if "_total" in series}


def test_settings_that_broke_are_a_figure_beside_those_of_the_last_that_worked(
    here: Installation,
) -> None:
    """As radiusd goes on with them."""
    last_good.keep(file.load(here.settings_path))
    exporter = Exporter(here)
    assert exporter.values()["smsotp_settings_valid"] == 1
    here.write(colour="red")
    values = exporter.values()
    assert (values["smsotp_up"], values["smsotp_settings_valid"]) == (1, 0)
    assert exporter.end() == 0


def test_a_database_that_is_not_up_yet_is_a_figure(here: Installation) -> None:
    """And so is that it has come."""
    here.write(store="postgresql://smsotp@127.0.0.1:1/smsotp")
    exporter = Exporter(here)
    assert exporter.values()["smsotp_up"] == 0
    here.write(store=f"sqlite:///{here.folder}/smsotp.db")
    assert exporter.values()["smsotp_up"] == 1
    assert exporter.end() == 0
