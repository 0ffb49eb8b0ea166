"""Debian's Prometheus on a free port of the loopback address, with a folder of its own."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any, Self

import yaml

from tests.support.ports import free_port
from tests.support.site import eventually

if TYPE_CHECKING:
    from pathlib import Path

JOB = "smsotp"

INTERVAL = "500ms"
"""How often it asks the exporter: a test shall not wait for a minute."""


class Prometheus:
    """
    One process, which ends with the ``with`` block.

    Args:
        exporter: What it asks, as 127.0.0.1:9812.
    """

    def __init__(self, folder: Path, exporter: str) -> None:
        folder.mkdir()
        self._log = folder / "prometheus.log"
        settings = folder / "prometheus.yml"
        scraped = {"job_name": JOB, "static_configs": [{"targets": [exporter]}]}
        settings.write_text(
            yaml.safe_dump({"global": {"scrape_interval": INTERVAL}, "scrape_configs": [scraped]})
        )
        self._address = f"127.0.0.1:{free_port()}"
        self._command = [
            "prometheus",
            f"--config.file={settings}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={self._address}",
        ]

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        try:
            eventually(self._is_ready, 30)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its API, which Grafana uses as well."""
        url = f"http://{self._address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def value(self, query: str) -> float:
        """What a query comes to now: the sum of all its series."""
        return sum(float(one["value"][1]) for one in self.ask("query", query=query)["result"])

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, self._log.read_text("utf-8")
        try:
            return bool(self.value("smsotp_up") == 1)
        except (OSError, AssertionError):
            return False
