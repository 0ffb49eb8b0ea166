"""The port: opened, locked, shared and unplugged."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.errors import Unavailable, Unknown
from radius_smsotp.providers import Surroundings
from radius_smsotp.providers.contract import message, soon
from radius_smsotp.providers.modem.device import file_name
from radius_smsotp.providers.modem.provider import Provider, Settings
from tests.providers.modem.gsm_modem import PLAIN, GsmModem, provider_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def test_a_device_that_is_not_there_is_unavailable_and_named(tmp_path: Path) -> None:
    settings = Settings.model_validate({"type": "modem", "port": "/dev/ttyNONE7"})
    sender = Provider("gsm", settings, Surroundings(tmp_path, {}, tmp_path))
    with pytest.raises(Unavailable, match=r"cannot open /dev/ttyNONE7 \(no such device\)"):
        sender.send(message(), soon())
    [problem] = sender.check()
    assert problem.path == "providers.gsm.port"
    assert "no such device" in problem.fault
    assert "plug the modem in" in problem.remedy


def test_a_file_that_is_no_serial_port_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ttyUSB0"
    file.write_bytes(b"")
    settings = Settings.model_validate({"type": "modem", "port": str(file)})
    [problem] = Provider("gsm", settings, Surroundings(tmp_path, {}, tmp_path)).check()
    assert "not a serial port" in problem.fault


def test_a_host_without_a_serial_server_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    settings = Settings.model_validate({"type": "modem", "port": f"socket://127.0.0.1:{port}"})
    [problem] = Provider("gsm", settings, Surroundings(tmp_path, {}, tmp_path)).check()
    assert "Connection refused" in problem.fault


@contextmanager
def another_user() -> Iterator[None]:
    """Root may open everything: be nobody for a while.  Who is not root stays who he is."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_device_of_somebody_else_is_named_with_the_group_that_helps(modem: GsmModem) -> None:
    device = Path(os.path.realpath(modem.cable.name))
    mode = stat.S_IMODE(device.stat().st_mode)
    device.chmod(0)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        settings = Settings.model_validate({"type": "modem", "port": str(device)})
        sender = Provider("gsm", settings, Surroundings(Path(folder), {}, Path(folder)))
        with another_user():
            [problem] = sender.check()
    device.chmod(mode)
    assert "permission denied" in problem.fault
    assert "add the user of FreeRADIUS to group dialout" in problem.remedy


@pytest.fixture
def other_process(modem: GsmModem, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Another process that has the modem; calling the value ends it."""
    code = """
import sys, time
from pathlib import Path
from radius_smsotp.providers.modem.device import open_device
device = open_device(sys.argv[1], 115200, Path(sys.argv[2]), time.monotonic() + 10)
print("open", flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", code, modem.cable.name, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"open\n"
        try:
            yield process.stdin.close
        finally:
            process.kill()


def test_a_modem_that_another_process_has_is_unavailable_at_the_deadline(
    modem: GsmModem, tmp_path: Path, other_process: Callable[[], None]
) -> None:
    sender = provider_for(modem, tmp_path)
    with pytest.raises(Unavailable, match="in use by another process"):
        sender.send(message(), soon(4))
    [problem] = provider_for(modem, tmp_path, timeout=4).check()
    assert "in use by another process" in problem.fault
    assert modem.commands == []
    other_process()
    sender.send(message(), soon())
    assert len(modem.received()) == 1


def test_two_names_of_one_device_are_one_lock(modem: GsmModem, tmp_path: Path) -> None:
    assert file_name(modem.cable.name) == file_name(os.path.realpath(modem.cable.name))
    assert file_name("socket://host:4000") == "modem-socket-host-4000"


def test_a_thread_that_gets_no_turn_is_unavailable_at_its_deadline(
    modem: GsmModem, tmp_path: Path
) -> None:
    modem.is_mute_after_text = True
    sender = provider_for(modem, tmp_path)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(sender.send, message(1, PLAIN), soon(12))
        assert modem.wait_for(lambda: len(modem.submitted) == 1)
        with pytest.raises(Unavailable, match="other messages kept the modem busy"):
            sender.send(message(2, PLAIN), soon(4))
        assert isinstance(slow.exception(timeout=60), Unknown)
    assert len(modem.submitted) == 1


def test_locks_that_have_no_place_are_named(modem: GsmModem, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    settings = Settings.model_validate({"type": "modem", "port": modem.cable.name})
    [problem] = Provider("gsm", settings, Surroundings(nowhere, {}, nowhere)).check()
    assert "cannot lock the modem" in problem.fault
    assert "let the user of FreeRADIUS write to this folder" in problem.remedy


@pytest.mark.parametrize("cable", ["modem", "tcp_modem"])
def test_a_modem_that_was_unplugged_is_found_again(
    cable: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    modem: GsmModem = request.getfixturevalue(cable)
    sender = provider_for(modem, tmp_path)
    sender.send(message(1, PLAIN), soon())
    modem.cable.unplug()
    with pytest.raises(Unavailable, match="cannot open"):
        sender.send(message(2, PLAIN), soon())
    modem.cable.plug_in()
    sender.send(message(3, PLAIN), soon())
    assert len(modem.received()) == 2
