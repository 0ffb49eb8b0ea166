"""A database under test: a real MariaDB with FreeRADIUS's own tables, on a free port."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.freeradius import recipe
from tests.freeradius.tcp_server import TcpServer

TITLE = "MariaDB and MySQL"
"""Of its recipe."""

SCHEMA = Path("/etc/freeradius/3.0/mods-config/sql/main/mysql")
"""As freeradius-config brings it."""

CONFIGURATION = """\
[mariadbd]
datadir = {folder}/data
socket = {folder}/socket
pid-file = {folder}/pid
bind-address = 127.0.0.1
port = {port}
user = root
ssl-cert = {folder}/cert.pem
ssl-key = {folder}/cert.key
innodb_log_file_size = 4M
innodb_buffer_pool_size = 8M
innodb_flush_log_at_trx_commit = 0
"""


class Database(TcpServer):
    """The database ``radius``; ``radius`` may use it with FreeRADIUS's rights.  Made in 1 s."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "mariadb")
        self._configuration = folder / "my.cnf"
        self._configuration.write_text(CONFIGURATION.format(folder=folder, port=self.port))
        subprocess.run(
            [
                *("mariadb-install-db", f"--defaults-file={self._configuration}"),
                *("--skip-test-db", "--auth-root-authentication-method=normal"),
            ],
            check=True,
            capture_output=True,
        )
        self.start()
        self.run_sql(
            "CREATE DATABASE radius; USE radius;"
            f"source {SCHEMA}/schema.sql; source {SCHEMA}/setup.sql;"
        )

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self.run(["mariadbd", f"--defaults-file={self._configuration}"])

    def asked(self, raddb: Path) -> None:
        """Have a raddb ask it, by the recipe."""
        replacements = {
            "sql.example.org": "127.0.0.1",
            "3306": str(self.port),
            "/etc/ssl/certs/ca-certificates.crt": str(self.certificate),
        }
        recipe.install(raddb, TITLE, replacements)

    def put(self, people: dict[str, tuple[str, list[str]]]) -> None:
        """Add people: user name to password and numbers."""
        rows = [(name, "Cleartext-Password", password) for name, (password, _) in people.items()]
        rows += [
            (name, "SMSOTP-Phone", one) for name, (_, numbers) in people.items() for one in numbers
        ]
        values = ", ".join(f"('{name}', '{key}', '+=', '{value}')" for name, key, value in rows)
        self.run_sql(
            f"INSERT INTO radcheck (username, attribute, op, value) VALUES {values};", "radius"
        )

    def run_sql(self, words: str, database: str = "") -> list[list[str]]:
        """Run statements as its administrator; the rows that they return."""
        done = subprocess.run(
            [
                *("mariadb", f"--socket={self.folder}/socket", "--user=root"),
                *("--batch", "--skip-column-names", database),
            ],
            input=words,
            check=True,
            capture_output=True,
            text=True,
        )
        return [line.split("\t") for line in done.stdout.splitlines()]
