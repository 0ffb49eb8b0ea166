"""Who gets into a PostgreSQL store, with what schema, and what `smsotp check` says of it."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from radius_smsotp.errors import ConfigurationError
from radius_smsotp.store import open_store
from radius_smsotp.store.postgres import condition, connection, store
from radius_smsotp.store.postgres.connection import Connection
from radius_smsotp.store.schema import TABLES, VERSIONS
from tests.store.postgres_server import PASSWORD
from tests.store.samples import ALICE, HOUR, NOW, event
from tests.support.site import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from radius_smsotp.store import Store
    from tests.store.postgres_server import PostgresServer


class TestSchema:
    def test_a_newer_store_is_refused(
        self, postgres_store: Store, beside: psycopg.Connection[Any]
    ) -> None:
        """And left as it is."""
        newer = len(VERSIONS) + 1
        beside.execute("UPDATE smsotp_schema SET version = %s", [newer])
        with pytest.raises(ConfigurationError, match=f"has schema {newer}.*upgrade radius-smsotp"):
            postgres_store.migrate()
        assert beside.execute("SELECT version FROM smsotp_schema").fetchone() == (newer,)

    def test_a_step_that_fails_leaves_the_version_before_it(
        self,
        postgres_store: Store,
        beside: psycopg.Connection[Any],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """All of it or nothing."""
        step = ("CREATE TABLE later (x INTEGER)", "CREATE TABLE account (x INTEGER)")
        monkeypatch.setattr(store, "VERSIONS", (*VERSIONS, step))
        with pytest.raises(ConfigurationError, match="does not work"):
            postgres_store.migrate()
        assert beside.execute("SELECT to_regclass('later')").fetchone() == (None,)
        assert beside.execute("SELECT version FROM smsotp_schema").fetchone() == (len(VERSIONS),)

    def test_every_table_is_checked_for_rights(
        self, postgres_store: Store, beside: psycopg.Connection[Any]
    ) -> None:
        """None is forgotten when one comes in addition."""
        sql = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 2200"
        tables = {name for (name,) in beside.execute(sql)}
        assert tables == {*TABLES, "smsotp_schema"}

    def test_a_role_without_rights_is_told_which(
        self,
        postgres_server: PostgresServer,
        postgres_store: Store,
        beside: psycopg.Connection[Any],
    ) -> None:
        """At the start, not at a login; what it does have is enough if it is not the owner."""
        beside.execute("CREATE ROLE guest LOGIN")
        try:
            tables = ", ".join(TABLES)
            beside.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO guest")
            beside.execute("GRANT SELECT ON smsotp_schema TO guest")
            [name] = beside.execute("SELECT current_database()").fetchone()  # type: ignore[misc]
            guest = open_store(postgres_server.url(name, "guest"))
            guest.migrate()
            with guest.write("alice", durable=True) as tx:
                tx.put_account(ALICE, NOW)
                tx.add_event(event())
                tx.prune(NOW, NOW, NOW + HOUR)
            guest.close()
            beside.execute("REVOKE UPDATE ON event, device FROM guest")
            with pytest.raises(ConfigurationError, match="may not use device, event; GRANT"):
                guest.migrate()
        finally:
            beside.execute("DROP OWNED BY guest")
            beside.execute("DROP ROLE guest")


class TestPassword:
    """A role with a password, which is nowhere shown."""

    @pytest.fixture
    def locked_url(self, postgres_server: PostgresServer) -> Iterator[str]:
        """A database of a role whose password is asked for."""
        url = postgres_server.make_url()
        postgres_server.run_sql(f"CREATE ROLE keeper LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
        rules = postgres_server.data / "pg_hba.conf"
        before = rules.read_text()
        rules.write_text(f"host all keeper all scram-sha-256\n{before}")
        postgres_server.run_sql("SELECT pg_reload_conf()")
        yield url.replace("smsotp@", "keeper@")
        rules.write_text(before)
        postgres_server.run_sql("SELECT pg_reload_conf()")
        for sql in ("DROP OWNED BY keeper", "DROP ROLE keeper"):
            postgres_server.run_sql(sql, url.rpartition("/")[2])

    def test_it_may_stand_in_the_url(self, locked_url: str) -> None:
        """And is left out where the store is named."""
        quoted = PASSWORD.replace("%", "%25")
        one = open_store(locked_url.replace("keeper@", f"keeper:{quoted}@"))
        one.migrate()
        assert one.name == locked_url
        one.close()

    @pytest.mark.parametrize("way", ["PGPASSFILE", "PGSERVICEFILE"])
    def test_it_may_stand_in_a_file_of_libpq(
        self, locked_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
    ) -> None:
        """Which only the user of FreeRADIUS may read."""
        file = tmp_path / "file"
        url = locked_url
        if way == "PGPASSFILE":
            file.write_text(f"127.0.0.1:*:*:keeper:{PASSWORD}\n")
        else:
            file.write_text(f"[door]\nuser=keeper\npassword={PASSWORD}\n")
            url = locked_url.replace("keeper@", "") + "?service=door"
        file.chmod(0o600)
        monkeypatch.setenv(way, str(file))
        one = open_store(url)
        one.migrate()
        with one.write("alice") as tx:
            tx.put_account(ALICE, NOW)
        assert PASSWORD not in one.name
        one.close()

    @pytest.mark.parametrize("bad", ["geheim:x@", "ge%heim@", "geheim@:"])
    def test_no_fault_shows_it(self, locked_url: str, bad: str) -> None:
        """Neither a wrong one nor one in a URL that nobody can read."""
        with pytest.raises(ConfigurationError) as caught:
            open_store(locked_url.replace("keeper@", f"keeper:{bad}")).migrate()
        assert "heim" not in str(caught.value)

    def test_where_one_was_looked_for_is_said(
        self, locked_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And where FreeRADIUS looks: with its user's home, not with that of whoever asks."""
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.delenv("PGPASSFILE", raising=False)
        freerad = pwd.struct_passwd(("freerad", "x", 1, 1, "", "/etc/freeradius", "/bin/false"))
        monkeypatch.setattr(connection, "freeradius_user", lambda: freerad)
        file, me = tmp_path / ".pgpass", pwd.getpwuid(os.geteuid()).pw_name

        def remedy(url: str) -> str:
            with pytest.raises(ConfigurationError) as caught:
                open_store(url).exists()
            [problem] = caught.value.problems
            assert "no password supplied" in problem.fault
            assert "init" not in problem.remedy
            return problem.remedy

        told = remedy(locked_url)
        assert told.startswith(f"as {me} it was looked for in {file}, which is not there; ")
        assert "FreeRADIUS, as freerad, looks in /etc/freeradius/.pgpass; " in told
        assert "?passfile=PATH" in told
        file.write_text(f"elsewhere:*:*:keeper:{PASSWORD}\n")
        file.chmod(0o640)
        assert f"nobody else can read it: chmod 600 {file}" in remedy(locked_url)
        file.chmod(0o600)
        told = remedy(f"{locked_url}?passfile={file}")
        assert re.search(r"has no line for 127\.0\.0\.1:\d+:smsotp\d+:keeper$", told)

    def test_a_wrong_one_is_said(self, locked_url: str) -> None:
        """In words of libpq, which name the role."""
        one = open_store(locked_url.replace("keeper@", "keeper:falsch@"))
        with pytest.raises(ConfigurationError, match=r"password authentication failed.*keeper"):
            one.migrate()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql:///smsotp?host=/run/postgresql", "postgresql:///smsotp"),
        ("postgres://a:b@h/d", "postgresql://a@h/d"),
        ("postgresql://a:b@h1:1,h2:2/d?sslmode=require", "postgresql://a@h1:1,h2:2/d"),
        ("postgresql://a:b@[::1]:5433/d", "postgresql://a@[::1]:5433/d"),
        ("postgresql:///?service=door&password=b", "postgresql:///?service=door"),
    ],
)
def test_a_name_is_the_url_without_its_password(url: str, shown: str) -> None:
    """As `smsotp check` shows it."""
    assert open_store(url).name == shown


class TestInspection:
    def test_it_says_what_it_is(self, postgres_store: Store) -> None:
        """And that one without fsync may forget what it has promised."""
        text, [doubt] = postgres_store.inspect()
        assert re.fullmatch(r"PostgreSQL \d+\.\d+, schema \d+", text)
        assert doubt.fault.startswith("fsync is off: after a power cut, spent codes may count")

    def test_another_clock_is_told(
        self, postgres_store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """All servers judge the same codes by their own clocks."""
        for ahead, words in ((-60.0, "60.0 s ahead"), (60.0, "60.0 s behind")):
            with monkeypatch.context() as patch:
                real = condition.time.time
                patch.setattr(condition.time, "time", lambda: real() + ahead)  # noqa: B023
                doubt, _ = postgres_store.inspect()[1]
            assert words in doubt.fault

    def test_a_database_that_locks_nothing_is_told(
        self, postgres_store: Store, postgres_url: str, beside: psycopg.Connection[Any]
    ) -> None:
        """CockroachDB: two servers could spend one code."""
        beside.execute(
            "CREATE FUNCTION public.version() RETURNS text LANGUAGE sql "
            "AS $$ SELECT 'CockroachDB CCL v24.1.0 (x86_64-pc-linux-gnu, built 2024)' $$"
        )
        other = open_store(f"{postgres_url}?options=-csearch_path%3Dpublic,pg_catalog")
        text, [doubt, _] = other.inspect()
        other.close()
        assert text == f"CockroachDB CCL v24.1.0, schema {len(VERSIONS)}"
        assert doubt.fault == "CockroachDB locks nothing: a code may be accepted twice"

    @pytest.mark.parametrize(
        ("address", "mode", "tls", "fault"),
        [
            ("", "", False, ""),
            ("127.0.0.1", "", False, ""),
            ("::1", "", False, ""),
            ("192.0.2.1", "", False, "is not encrypted"),
            ("192.0.2.1", "", True, "certificate is not checked"),
            ("2001:db8::1", "require", True, "certificate is not checked"),
            ("192.0.2.1", "verify-full", True, ""),
        ],
    )
    def test_a_way_on_which_others_can_read_is_told(
        self, address: str, mode: str, tls: bool, fault: str
    ) -> None:
        """Numbers and PIN hashes pass there."""
        found = [words for words, _ in condition.encryption(address, mode, tls=tls)]
        assert len(found) == bool(fault)
        assert all(fault in words for words in found)

    @pytest.mark.parametrize(
        ("where", "mode"),
        [("nowhere", "prefer"), ("environment", "disable"), ("service file", "allow")],
    )
    def test_how_the_way_is_secured_is_known_wherever_it_is_set(
        self,
        postgres_server: PostgresServer,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        where: str,
        mode: str,
    ) -> None:
        """As libpq knows it."""
        url = postgres_server.make_url()
        if where == "environment":
            monkeypatch.setenv("PGSSLMODE", mode)
        elif where == "service file":
            (tmp_path / "services").write_text(f"[ours]\nsslmode={mode}\n")
            monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
            url += "?service=ours"
        with Connection.connect(url) as db:
            assert condition.sslmode(db) == mode


class TestTls:
    @pytest.fixture
    def certified(self, postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Path]:
        """The certificate that the server shows, for the name localhost."""
        for name in ("server", "other"):
            key, certificate = tmp_path / f"{name}.key", tmp_path / f"{name}.crt"
            names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
            command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *names]
            command += ["-keyout", str(key), "-out", str(certificate)]
            subprocess.run(command, check=True, capture_output=True)
        for name in ("server.key", "server.crt"):
            file = postgres_server.data / name
            shutil.copy(tmp_path / name, file)
            file.chmod(0o600)
            owner = postgres_server.data.stat()
            os.chown(file, owner.st_uid, owner.st_gid)
        postgres_server.run_sql("ALTER SYSTEM SET ssl = on")
        postgres_server.run_sql("SELECT pg_reload_conf()")
        eventually(lambda: postgres_server.run_sql("SHOW ssl") == [("on",)])
        yield tmp_path / "server.crt"
        postgres_server.run_sql("ALTER SYSTEM RESET ssl")
        postgres_server.run_sql("SELECT pg_reload_conf()")

    def test_the_url_says_whose_certificate_is_trusted(
        self, postgres_server: PostgresServer, certified: Path
    ) -> None:
        """As for every program that uses libpq; another server's is refused."""
        url = postgres_server.make_url().replace("127.0.0.1", "localhost")
        verified = f"{url}?sslmode=verify-full&sslrootcert="
        one = open_store(f"{verified}{certified}")
        one.migrate()
        with one.write("alice", durable=True) as tx:
            tx.put_account(ALICE, NOW)
        encrypted = postgres_server.run_sql(
            "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
            "WHERE application_name = 'radius-smsotp' AND state = 'idle' AND ssl"
        )
        assert encrypted == [(True,)]
        one.close()
        with pytest.raises(ConfigurationError, match="certificate verify failed"):
            open_store(f"{verified}{certified.with_name('other.crt')}").migrate()

    def test_with_authorities_at_hand_require_looks_at_the_certificate(
        self,
        postgres_server: PostgresServer,
        certified: Path,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        """For libpq, it is verify-ca then."""
        monkeypatch.setenv("HOME", str(tmp_path))
        url = f"{postgres_server.make_url()}?sslmode=require"
        with Connection.connect(url) as db:
            assert condition.sslmode(db) == "require"
        (tmp_path / ".postgresql").mkdir()
        shutil.copy(certified, tmp_path / ".postgresql" / "root.crt")
        with Connection.connect(url) as db:
            assert condition.sslmode(db) == "verify-ca"
        with Connection.connect(f"{url}&sslrootcert={certified}") as db:
            assert condition.sslmode(db) == "verify-ca"
        other = certified.with_name("other.crt")
        with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
            Connection.connect(f"{url}&sslrootcert={other}")
