"""``smsotp check`` on the machine: the disk under the store, and the clock."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from radius_smsotp.cli.check import host

MOUNTS = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:27 / /srv rw shared:2 - nfs4 nas:/srv rw
31 22 0:28 / /srv/local rw - xfs /dev/sdb1 rw
32 22 0:29 / /srv/a\040b rw - cifs //nas/b rw
33 22 0:30 / /over rw - ext4 /dev/sdc1 rw
34 33 0:31 / /over rw - tmpfs tmpfs rw
broken line
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/lib/radius-smsotp", "ext4"),
        ("/srv", "nfs4"),
        ("/srv/smsotp", "nfs4"),
        ("/srv/local/smsotp", "xfs"),
        ("/srv/a b/x", "cifs"),
        ("/srvother", "ext4"),
        ("/over/x", "tmpfs"),
    ],
)
def test_the_file_system_of_a_folder_is_that_of_the_last_mount_above_it(
    folder: str, kind: str
) -> None:
    assert host.file_system(Path(folder), MOUNTS) == kind


def test_this_machine_s_is_the_one_that_others_see(tmp_path: Path) -> None:
    """`findmnt` of util-linux."""
    command = ["findmnt", "--noheadings", "--output", "FSTYPE", "--target", tmp_path]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert host.file_system(tmp_path) == shown.strip()


def findings(folder: Path, mounts: str | None = None) -> list[tuple[str, str]]:
    """Level and fault."""
    return [(one.level, one.fault) for one in host.disk_findings(folder, mounts)]


def test_a_network_file_system_is_an_error(tmp_path: Path) -> None:
    mounts = "30 22 0:27 / / rw - nfs4 nas:/srv rw\n"
    assert ("error", "lies on a network file system (nfs4)") in findings(tmp_path, mounts)


def test_memory_is_worth_a_word(tmp_path: Path) -> None:
    mounts = "30 22 0:27 / / rw - tmpfs tmpfs rw\n"
    assert ("warning", "lies in memory (tmpfs)") in findings(tmp_path, mounts)


@pytest.mark.parametrize(("megabytes", "level"), [(5, "error"), (100, "warning"), (5000, None)])
def test_room_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, megabytes: int, level: str | None
) -> None:
    real = os.statvfs(tmp_path)

    class Room:
        f_frsize = real.f_frsize
        f_bavail = megabytes * host.MEGABYTE // real.f_frsize

    def statvfs(_: Any) -> Room:
        return Room()

    monkeypatch.setattr(os, "statvfs", statvfs)
    told = findings(tmp_path, "30 22 0:27 / / rw - ext4 x rw\n")
    expected = [(level, f"only {megabytes} MB are free there")] if level else []
    assert told == expected


def test_the_clock_is_asked_of_the_kernel() -> None:
    """As `timedatectl` has it, where systemd runs; elsewhere the kernel still answers."""
    kept = host.is_clock_kept()
    assert kept in {True, False}
    faults = [one.fault for one in host.clock_findings()]
    assert faults == ([] if kept else ["is not kept by NTP"])


@pytest.mark.parametrize(
    ("address", "noted"),
    [
        ("127.0.0.1:9812", False),
        ("[::1]:9812", False),
        ("localhost:9812", False),
        ("192.0.2.7:9812", True),
        ("0.0.0.0:9812", True),
        ("[::]:9812", True),
    ],
)
def test_figures_that_others_may_read_are_noted(tmp_path: Path, address: str, noted: bool) -> None:
    """As the unit says, or what an administrator has put beside it."""
    assert list(host.exporter_findings([tmp_path])) == []
    unit = tmp_path / host.EXPORTER
    drop_in = tmp_path / f"{host.EXPORTER}.d" / "listen.conf"
    drop_in.parent.mkdir()
    for path in (unit, drop_in):
        path.write_text(
            f"[Service]\nExecStart=\nExecStart=/bin/smsotp exporter --listen {address}\n"
        )
        found = list(host.exporter_findings([tmp_path]))
        assert [(one.level, one.path) for one in found] == [("note", str(path))] * noted
        path.unlink()


def test_units_that_name_what_is_not_on_this_machine(tmp_path: Path) -> None:
    """As those for Debian do elsewhere; what stands beside them wins, and in /etc all the more."""
    etc, lib = tmp_path / "etc", tmp_path / "lib"
    etc.mkdir()
    lib.mkdir()
    unit = lib / "smsotp-prune.service"
    unit.write_text("[Service]\nExecStart=/no/such/smsotp prune\nUser=nobody-of-here\n")
    (lib / "other.service").write_text("[Service]\nUser=nobody-of-here\n")
    found = list(host.unit_findings([lib]))
    assert [(one.level, one.path) for one in found] == [("warning", str(unit))] * 2
    assert [one.fault for one in found] == [
        "runs as nobody-of-here, who is not on this machine",
        "starts /no/such/smsotp, which is not there",
    ]
    drop_in = lib / "smsotp-prune.service.d" / "here.conf"
    drop_in.parent.mkdir()
    drop_in.write_text("[Service]\nExecStart=\nExecStart=-/bin/true prune\nUser=nobody\n")
    assert list(host.unit_findings([lib])) == []
    above = etc / drop_in.relative_to(lib)
    above.parent.mkdir()
    above.write_text("[Service]\nExecStart=/bin/true prune\nUser=nobody-of-etc\n")
    [found_there] = host.unit_findings([etc, lib])
    assert found_there.fault.startswith("runs as nobody-of-etc,")
    (etc / unit.name).write_text("[Service]\nExecStart=/bin/true prune\n")
    above.unlink()
    drop_in.unlink()
    assert list(host.unit_findings([etc, lib])) == []
