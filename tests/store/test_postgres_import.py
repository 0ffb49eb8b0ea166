"""``smsotp user import`` into PostgreSQL, while logins go on at a server beside it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import psycopg

from radius_smsotp.cli.user import bulk
from tests.cli.installation import Installation

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 2 * bulk.LARGEST


def test_logins_go_on_during_a_large_import(tmp_path: Path, postgres_url: str) -> None:
    """Whoever cannot get at the store within a second is refused: slices are small."""
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
    with psycopg.connect(postgres_url) as db:
        # xmin is the transaction that has written a row.
        found = db.execute("SELECT count(*) FROM account GROUP BY xmin::text").fetchall()
    slices = [rows for (rows,) in found]
    assert sum(slices) == ROWS + 1
    assert max(slices) <= bulk.LARGEST
