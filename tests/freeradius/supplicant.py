"""A Wi-Fi device: wpa_supplicant's EAP side, as `eapol_test`, whose user is a test."""

from __future__ import annotations

import re
import select
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.support.radius import SECRET

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.freeradius import Radiusd

PEAP_GTC = 'eap=PEAP phase2="auth=GTC"'
TTLS_GTC = 'eap=TTLS phase2="autheap=GTC"'
TTLS_PAP = 'eap=TTLS phase2="auth=PAP"'
STATION = "02:00:00:00:00:01"
ANSWER_SECONDS = 120.0


class Supplicant:
    """
    One conversation.

    Args:
        method: Words of a network block.
        password: What the device has stored; None if it asks its user each time.
        options: Further arguments of eapol_test.
        ssid: Behind the access point's address in Called-Station-Id.
        secret: That the access point shares with the server.
        profile: All of its configuration, in the place of method, user and password.
        prefix: A command that becomes the device, whose command line stands behind it.
    """

    def __init__(
        self,
        radiusd: Radiusd,
        method: str = PEAP_GTC,
        user: str = "alice",
        password: str | None = None,
        *options: str,
        station: str = STATION,
        ssid: str = "Office",
        secret: str = SECRET,
        profile: str = "",
        prefix: Sequence[str] = (),
    ) -> None:
        self._radiusd = radiusd
        self._folder = tempfile.TemporaryDirectory(prefix="supplicant-")
        self._station = station
        self._secret = secret
        self._user = user
        self._prefix = prefix
        self._options = [*options, f"-N30:s:02-00-00-00-00-FF:{ssid}"]
        self.prompts: list[str] = []
        place = Path(self._folder.name)
        authority = radiusd.folder / "certs" / "smsotp" / "ca.pem"
        known = [] if password is None else [f'password="{password}"']
        if "TTLS" in method or "PEAP" in method:
            known += [
                f'ca_cert="{authority}"',
                'domain_match="radius.example.org"',
                'anonymous_identity="anonymous"',
            ]
        block = [
            "network={",
            "key_mgmt=WPA-EAP",
            f'identity="{user}"',
            *re.findall(r'\w+=(?:"[^"]*"|\S+)', method),
            *known,
            "}",
        ]
        text = profile or "\n".join(block) + "\n"
        (place / "conf").write_text(f"ctrl_interface={place}/ctrl\n{text}", encoding="utf-8")
        self._output = place / "output"

    def __enter__(self) -> Self:
        place = Path(self._folder.name)
        command = [
            *self._prefix,
            "stdbuf",
            "-oL",
            "eapol_test",
            "-W",
            "-i",
            "test",
            "-t",
            "120",
            "-c",
            place / "conf",
        ]
        command += ["-a", "127.0.0.1", "-p", str(self._radiusd.port), "-s", self._secret]
        command += ["-M", self._station, *self._options]
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        self._control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._control.bind(str(place / "me"))
        until = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                self._control.connect(str(place / "ctrl" / "test"))
            except OSError:
                assert time.monotonic() < until, self.output()
                assert self._process.poll() is None, self.output()
                time.sleep(0.01)
            else:
                break
        self._control.send(b"ATTACH")
        return self

    def __exit__(self, *_: object) -> None:
        self._control.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def question(self) -> str | None:
        """Wait for the next question to the user; None if the conversation has ended."""
        until = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < until:
            if not select.select([self._control], [], [], 0.05)[0]:
                if self._process.poll() is not None:
                    return None
                continue
            try:
                said = self._control.recv(8192).decode()
            except OSError:  # it has ended meanwhile
                continue
            asked = re.match(r"<\d>CTRL-REQ-OTP-0:\[(.*)\] needed", said, re.DOTALL)
            if asked:
                self.prompts.append(asked[1])
                return asked[1]
            if re.match(r"<\d>CTRL-REQ-IDENTITY-0:", said):
                self._control.send(b"CTRL-RSP-IDENTITY-0:" + self._user.encode())
        raise AssertionError(f"neither a question nor an end:\n{self.output()[-4000:]}")

    def answer(self, text: str) -> str | None:
        """Answer, and wait for what is asked next."""
        self._control.send(f"CTRL-RSP-OTP-0:{text}".encode())
        return self.question()

    def accepted(self) -> bool:
        """Wait for the end.  Returns whether it was let in, with a key for the air."""
        self._process.wait(60)
        lines = self.output().splitlines()
        assert lines[-1] in {"SUCCESS", "FAILURE"}, self.output()
        return lines[-1] == "SUCCESS"

    def output(self) -> str:
        """What eapol_test has printed."""
        return self._output.read_text("utf-8", "replace")
