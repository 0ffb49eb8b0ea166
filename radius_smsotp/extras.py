"""The extras of setup.py: libraries that are installed only where they are wanted."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path


def command(extra: str) -> str:
    """
    What installs an extra into the virtual environment that this package runs from.

    Debian's own pip refuses to install anything (PEP 668), and radiusd's Python is not ours.
    """
    # …/lib/python3.11/site-packages/radius_smsotp/extras.py; else a checkout, whose Python knows.
    places = [*Path(__file__).resolve().parents[4:5], Path(sys.prefix)]
    pips = [place / "bin" / "pip" for place in places if (place / "pyvenv.cfg").exists()]
    pip = next((shlex.quote(str(one)) for one in pips if one.exists()), "pip")
    return f"{pip} install 'radius-smsotp[{extra}]'"
