"""The wall clock of a FreeRADIUS, which a test sets: libfaketime (Debian's ``faketime``)."""

from __future__ import annotations

import sysconfig
from pathlib import Path

MINUTE, HOUR, DAY = 60, 3600, 86400


class WallClock:
    """
    Off by some seconds, and set from one moment to the next; a monotonic clock goes on as ever.

    Args:
        path: Where libfaketime reads how far it is off.
    """

    def __init__(self, path: Path, ahead: int = 0) -> None:
        self._path = path
        self.ahead = 0
        self.jump(ahead)

    def jump(self, seconds: int) -> None:
        """Set it forwards or backwards, from where it is."""
        self.ahead += seconds
        partial = self._path.with_suffix(".partial")
        partial.write_text(f"{self.ahead:+d}\n", encoding="ascii")
        partial.replace(self._path)

    def prefix(self, host: str = "") -> list[str]:
        """
        What makes a FreeRADIUS go by it, and the Python in there: see `Site.start`.

        Args:
            host: What FreeRADIUS is to take for the name of this machine.
        """
        [library] = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
        # FreeRADIUS opens its modules with RTLD_DEEPBIND: a libpython that comes with one would
        # find the functions of the C library before these.
        python = sysconfig.get_config_var("INSTSONAME")
        command = ["env", f"LD_PRELOAD={library} {python}"]
        command += [f"FAKETIME_TIMESTAMP_FILE={self._path}", "FAKETIME_NO_CACHE=1"]
        command += ["DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1"]
        if host:
            named = f'hostname {host}; exec "$@"'
            command = ["unshare", "--uts", "sh", "-euc", named, "sh", *command]
        return command
