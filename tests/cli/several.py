"""Several commands on one terminal: ``python -m tests.cli.several --config FILE [[…], …]``."""

from __future__ import annotations

import json
import sys

from radius_smsotp.cli import smsotp

END = "<the end of one command>"

if __name__ == "__main__":
    *config, commands = sys.argv[1:]
    for command in json.loads(commands):
        smsotp([*config, *command], standalone_mode=False)
        print(END)
