"""The wall clock of a FreeRADIUS, which a test sets: libfaketime (Debian's ``faketime``)."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

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

    @property
    def environment(self) -> Mapping[str, str]:
        """What makes a FreeRADIUS read it, and the Python in there."""
        [library] = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
        # FreeRADIUS opens its modules with RTLD_DEEPBIND: a libpython that comes with one would
        # find the functions of the C library before these.
        python = sysconfig.get_config_var("INSTSONAME")
        return {
            "LD_PRELOAD": f"{library} {python}",
            "FAKETIME_TIMESTAMP_FILE": str(self._path),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
