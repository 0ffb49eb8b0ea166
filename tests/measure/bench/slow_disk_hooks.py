"""Runs inside radiusd: our hooks, on a disk that takes its time for each sync."""

import os
import time

from radius_smsotp.hooks import *  # noqa: F403

SECONDS = 0.004
"""Of the many disks that are slower than those of servers, an ordinary one."""

sync = os.fdatasync


def fdatasync(handle):
    """As the system's, only later."""
    time.sleep(SECONDS)
    sync(handle)


os.fdatasync = fdatasync
