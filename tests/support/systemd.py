"""systemd as first process of a Debian in a folder, and commands inside it."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

from tests.support.site import eventually

BOOT = """
mount --make-rprivate /
mount --bind "$0" "$0"
cd "$0"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs dev
for device in null zero full random urandom tty; do
    touch dev/$device
    mount --bind /dev/$device dev/$device
done
mkdir -p dev/pts dev/shm wheels
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount --bind "$1" wheels
pivot_root . mnt
umount --lazy /mnt
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
    /lib/systemd/systemd --system --unit=basic.target --log-target=journal
"""
"""In namespaces of its own, with the folder and where the wheels are: it becomes systemd."""


class Systemd:
    """
    One Debian that is up.

    Args:
        root: The folder; the package systemd is in there.
        wheels: Python packages, which are found under /wheels.
    """

    def __init__(self, root: Path, wheels: Path) -> None:
        self.root = root
        # A control group of its own, of which it sees nothing else: /proc/self/cgroup is relative
        # to the namespace, so this works within a container as well.
        self._groups = root.parent / f"{root.name}-groups"
        self._groups.mkdir()
        subprocess.run(["mount", "-t", "cgroup2", "cgroup2", self._groups], check=True)
        self._group = self._groups / f"smsotp-{root.name}"
        self._group.mkdir(exist_ok=True)
        namespaces = ["--mount", "--pid", "--ipc", "--uts", "--cgroup", "--fork", "--kill-child"]
        inner = ["unshare", *namespaces, "sh", "-euc", BOOT, str(root), str(wheels)]
        self._unshare = subprocess.Popen(
            ["sh", "-euc", 'echo $$ >"$0/cgroup.procs"; exec "$@"', self._group, *inner],
            stdin=subprocess.DEVNULL,
        )
        try:
            eventually(self._is_up, 60)
        except BaseException:
            self.close()
            raise

    def command(self, line: str, folder: str = "/") -> list[str]:
        """What runs a line of shell inside, as root."""
        place = f"/proc/{self._pid}/root"
        enter = ["nsenter", f"--target={self._pid}", f"--root={place}", f"--wd={place}"]
        spaces = ["--mount", "--pid", "--ipc", "--uts", "--cgroup"]
        return [*enter, *spaces, "--", *shell(line, folder)]

    def run(self, line: str) -> str:
        """Run a line of shell, which must succeed.  Returns what it prints."""
        done = subprocess.run(
            self.command(line), capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def main_pid(self, unit: str) -> int:
        """The process of a service, by its number inside; 0 if it does not run."""
        return int(self.run(f"systemctl show --property=MainPID --value {unit}"))

    def close(self) -> None:
        """End all that runs inside."""
        self._unshare.kill()
        self._unshare.wait()
        for group in sorted(self._group.glob("**/"), reverse=True):
            with contextlib.suppress(OSError):
                eventually(lambda group=group: not (group / "cgroup.procs").read_text(), 10)
                group.rmdir()
        subprocess.run(["umount", "--lazy", self._groups], check=False)

    @property
    def _pid(self) -> int:
        """The first process inside, by its number outside."""
        children = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children")
        return int(children.read_text().split()[0])

    def _is_up(self) -> bool:
        assert self._unshare.poll() is None, "systemd did not start"
        try:
            line = self.command("systemctl is-active basic.target")
        except (IndexError, OSError):
            return False
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        return done.stdout.strip() == "active"


def shell(line: str, folder: str) -> list[str]:
    """A line of shell in a folder, with the environment of a login as root."""
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return ["env", "-i", path, "TERM=dumb", "/bin/sh", "-c", f"cd {folder} && {line}"]
