"""
This machine once more, to type on: what is done there stays there.

An overlay shows the file system as it is and keeps every change to itself; network, processes and
mounts are its own as well.  All of it goes with its first process.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""As Debian's root has it."""

PROMPT = re.compile(r"<<(?P<status>\d+)>> $")

START = r"""
mount -t tmpfs tmpfs "$0"
mkdir "$0/changes" "$0/work" "$0/root" "$0/changes-there" "$0/work-there"
mount -t overlay overlay -o "lowerdir=/,upperdir=$0/changes,workdir=$0/work" "$0/root"
# The checkout may be on a file system of its own, which the first overlay does not show.
mkdir -p "$0/root$1"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$0/changes-there,workdir=$0/work-there" \
    "$0/root$1"
mount -t proc proc "$0/root/proc"
mount --bind /dev "$0/root/dev"
mount -t tmpfs -o mode=755 tmpfs "$0/root/run"
ip link set lo up
hostname radius
echo started
exec sleep infinity
"""

SYSTEMCTL = """#!/bin/sh
# There is no systemd here: this does what it would, as the unit of Debian says.
if [ "$1 $2" = "enable --now" ]; then
    exec systemd-analyze verify "/etc/systemd/system/$3"
fi
[ "$2" = freeradius ] || exit 1
if pid=$(cat /run/radiusd.pid 2>/dev/null); then
    kill "$pid" 2>/dev/null
    # Who has ended stays a zombie, as nobody waits for it here; who does not, is killed.
    for _ in $(seq 400); do
        grep -q '^State:.[^Z]' "/proc/$pid/status" 2>/dev/null || break
        sleep 0.05
    done
    kill -KILL "$pid" 2>/dev/null
    rm /run/radiusd.pid
fi
[ "$1" != stop ] || exit 0
[ "$1" = restart ] || exit 1
install -d -o freerad -g freerad /run/freeradius
: >/run/radiusd.out
unit=$(echo /usr/lib/systemd/system/freeradius.service /lib/systemd/system/freeradius.service)
user=$(sed -n 's/^User=//p' $unit 2>/dev/null | head -n 1)
setsid setpriv --reuid "${user:-freerad}" --regid freerad --init-groups \\
    freeradius -f -l stdout >/run/radiusd.out 2>&1 </dev/null &
echo $! >/run/radiusd.pid
for _ in $(seq 600); do
    ! grep -q 'Ready to process requests' /run/radiusd.out || exit 0
    kill -0 "$!" 2>/dev/null || break
    sleep 0.1
done
cat /run/radiusd.out
exit 1
"""


class Machine:
    """
    A shell on it.

    Args:
        top: The checkout, which is there as well, and can be changed as little as the rest.
        environment: Variables besides those of root.

    Attributes:
        shown: All that stood on its terminal.
    """

    def __init__(self, top: Path, **environment: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="smsotp-machine-")
        self._init = subprocess.Popen(
            # With the first process all others end, and with the last one the mounts.
            [
                *("setpriv", "--pdeathsig", "KILL"),
                *("unshare", "--mount", "--net", "--uts", "--pid", "--fork", "--kill-child"),
                *("sh", "-euc", START, self._folder.name, str(top)),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._init.stdout
        assert self._init.stdout.readline() == "started\n"
        [inside] = (
            Path(f"/proc/{self._init.pid}/task/{self._init.pid}/children").read_text().split()
        )
        self._first = inside
        self._enter = ["nsenter", "-t", inside, "-m", "-n", "-u", "-p", "--", "chroot"]
        self._enter.append(f"{self._folder.name}/root")
        self._environment = {
            "PATH": PATH,
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "PS1": "<<$?>> ",
            **environment,
        }
        self.shown = ""
        self._end, inner = pty.openpty()
        self._shell = subprocess.Popen(
            [*self._enter, "bash", "--norc", "--noprofile", "--noediting", "-i"],
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env=self._environment,
            preexec_fn=lambda: os.login_tty(inner),  # noqa: PLW1509  # no threads; for Ctrl-C
        )
        os.close(inner)
        self._read_until("bash", PROMPT, {}, 60.0)
        self.type("stty -echo cols 200; set +H")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all that runs on it."""
        for process in (self._shell, self._init):
            process.kill()
            process.wait()
        os.close(self._end)
        # Whoever is still in there is being ended; the mounts go with the last one.
        with contextlib.suppress(OSError):
            self._folder.cleanup()

    def connect(self, other: Machine, own: str, others: str) -> None:
        """Lay a cable to another one; the addresses are of both its ends, ADDRESS/LENGTH."""
        ends = ("netns", self._first, "type", "veth", "peer", "lan", "netns", other._first)
        subprocess.run(["ip", "link", "add", "lan", *ends], check=True)
        for one, address in ((self, own), (other, others)):
            one.do(f"ip address add {address} dev lan && ip link set lan up")

    def do(self, script: str) -> str:
        """Run a script beside the shell, which must end well.  Returns its output."""
        done = subprocess.run(
            [*self._enter, "sh", "-eu"],
            input=script,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout

    def type(
        self,
        line: str,
        answers: Mapping[str, Callable[[], str]] | None = None,
        until: str = "",
        ready: Callable[[], None] | None = None,
        seconds: float = 120.0,
    ) -> tuple[int, str]:
        """
        Type a line, and answer what is asked for.

        Args:
            answers: The end of each question to what makes its answer.
            until: What a program shows that goes on until Ctrl-C, which it gets then.
            ready: Returns when a program that does so and shows nothing is to get it.

        Returns:
            The exit status, and what was shown.
        """
        os.write(self._end, f"{line}\n".encode())
        before = ""
        if ready:
            ready()
            os.write(self._end, b"\x03")
        elif until:
            either = re.compile(f"(?P<there>{until})|{PROMPT.pattern}")
            status, before = self._read_until(line, either, answers or {}, seconds)
            assert status is None, f"{line}: it ended with {status}: {before}"
            os.write(self._end, b"\x03")
        status, told = self._read_until(line, PROMPT, answers or {}, seconds)
        assert status is not None
        return status, before + told

    def _read_until(
        self,
        line: str,
        end: re.Pattern[str],
        answers: Mapping[str, Callable[[], str]],
        seconds: float,
    ) -> tuple[int | None, str]:
        """Returns what came before `end`, and the exit status if that is a prompt."""
        stop = time.monotonic() + seconds
        seen = new = ""
        while not (found := end.search(seen)):
            left = stop - time.monotonic()
            assert left > 0, f"{line}: nothing like {end.pattern!r} came: {seen}"
            if not select.select([self._end], [], [], left)[0]:
                continue
            some = os.read(self._end, 65536).decode("utf-8", "replace").replace("\r\n", "\n")
            self.shown, seen, new = self.shown + some, seen + some, new + some
            for question, answer in answers.items():
                if new.endswith(question):
                    os.write(self._end, f"{answer()}\n".encode())
                    new = ""
        if (status := found["status"]) is None:
            return None, seen
        return int(status), seen[: found.start()]
