"""``smsotp user import`` into PostgreSQL, while logins go on at a server beside it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from radius_smsotp.store import open_store
from tests.cli.installation import Installation

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 5000


def test_logins_go_on_during_a_large_import(tmp_path: Path, postgres_url: str) -> None:
    """Whoever cannot get at the store within a second is refused."""
    here = Installation(tmp_path / "site", "--store", postgres_url)
    try:
        free = {"per_account_hour": 0, "per_number_hour": 0, "per_day": 0, "cooldown": 0}
        here.write(limits=free)
        here.done("user", "add", "alice", "--phone", "+491701234567", "--pin", "1234")
        rows = "".join(f"user{number:05},+49170{number:07}\n" for number in range(ROWS))
        path = tmp_path / "many.csv"
        path.write_text(f"name,phone\n{rows}")
        importing = here.start("user", "import", str(path), stdout=subprocess.PIPE)
        logins = here.log_in_during(importing, patience=1.0)
        assert importing.stdout is not None
        assert importing.stdout.read() == f"added: {ROWS}, changed: 0, left as they are: 0\n"
        assert logins > 5
    finally:
        here.close()
    store = open_store(postgres_url, patience=10)
    with store.read() as tx:
        assert sum(1 for _ in tx.accounts()) == ROWS + 1
    store.close()
