"""What keeps the server from starting, and what it reads again while it runs."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.raddb import install
from radius_smsotp.radius import process
from radius_smsotp.settings import keyring
from tests.support.freeradius import Radiusd, Site
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

STOCK = Path("/etc/freeradius/3.0")
FREERAD = (pwd.getpwnam("freerad").pw_uid, pwd.getpwnam("freerad").pw_gid)
PROMPT = "Enter the 6-digit code sent to ***67: "


def start_fails(site: Site) -> str:
    """Start a server that must not start.  Returns its log."""
    folder, port = site.make_raddb()
    radiusd = Radiusd(site, folder, port)
    site.daemons.append(radiusd)
    assert radiusd.run().wait(30) != 0
    radiusd.process = None
    assert "Traceback" not in radiusd.log()
    return radiusd.log()


def test_with_a_key_that_the_store_does_not_know_it_does_not_start(
    site: Site, make_site: Callable[..., Site]
) -> None:
    """A second server with a key of its own would take right codes for wrong ones."""
    radiusd = site.start()
    challenge = radiusd.challenge("alice", PIN)
    strange, other = (make_site(store=f"sqlite:///{site.store_path}") for _ in range(2))
    site.add("alice")  # as they have sealed her PIN with their own keys
    known = keyring.read(site.folder / "key").current
    log = start_fails(strange)
    assert f"key_file ({strange.folder}/key): the store was used with another key ({known})" in log
    assert "from a backup or from the server where 'smsotp key list' names it" in log
    # A rotated key comes in beside one that is known.
    shutil.copy(site.folder / "key", other.folder / "key")
    keyring.add(other.folder / "key", datetime.now(UTC))
    second = other.start()
    code = site.code(challenge.state)
    assert second.ask("alice", code, challenge.state).kind == "Access-Accept"
    # The first server has not got it yet: that costs no guess, and is said.
    later = second.challenge("alice", PIN)
    reply = radiusd.ask("alice", other.code(later.state), later.state)
    assert reply.kind == "Access-Reject"
    assert site.events("alice")[-1].detail == {"reason": "other-key"}
    assert "this server has another key than the one that made the code" in radiusd.log()
    assert second.ask("alice", other.code(later.state), later.state).kind == "Access-Accept"


def test_with_faulty_settings_it_names_them_all_and_does_not_start(site: Site) -> None:
    site.write(
        code={"digits": 3, "lifetme": 5},
        providers={"a": {"type": "gsm"}, "b": {"type": "folder"}},
        limits={"countries": ["x"]},
    )
    log = start_fails(site)
    for fault in (
        ": code.digits: is 3, and has to be a whole number from 6 to 9; ",
        ": code.lifetme: there is no such setting; did you mean 'lifetime'?",
        ": providers.a.type: 'gsm' is not one of ",
        ": providers.b.path: is missing",
        ": limits.countries: 'x' is neither a number prefix nor a country",
    ):
        assert fault in log, log


@pytest.mark.once
def test_key_and_settings_faults_are_told_together(site: Site) -> None:
    (site.folder / "key").chmod(0o640)
    site.store.close()
    (site.folder / "smsotp.db").write_bytes(b"no database at all" * 100)
    log = start_fails(site)
    assert "is open to others (mode 0640)" in log
    assert "is no SQLite file" in log


@pytest.mark.once
def test_changed_settings_are_read_again(site: Site, radiusd: Radiusd) -> None:
    assert radiusd.challenge().message == PROMPT
    site.write(challenge={"prompt": "Code: "})
    eventually(lambda: radiusd.ask("alice", PIN).message == "Code: ")
    assert "smsotp: the settings were read again" in radiusd.log()


@pytest.mark.once
def test_settings_changed_before_the_first_request_hold_for_it(site: Site) -> None:
    radiusd = site.start()
    site.write(challenge={"prompt": "Code: "})
    assert radiusd.challenge().message == "Code: "


@pytest.mark.once
def test_changed_settings_that_do_not_work_leave_the_old_ones(site: Site, radiusd: Radiusd) -> None:
    assert radiusd.challenge().message == PROMPT
    site.write(challenge={"prompt": "{nonsense}"}, code={"digits": 99})
    eventually(lambda: "the ones before stay in use" in radiusd.log())
    assert ": challenge.prompt: {nonsense} is no placeholder here" in radiusd.log()
    assert ": code.digits: " in radiusd.log()
    assert radiusd.challenge().message == PROMPT
    # Nor does a restart lock anybody out.
    radiusd.stop()
    radiusd.start()
    assert "the settings do not work; those of " in radiusd.log()
    assert radiusd.log().count(": challenge.prompt: {nonsense} is no placeholder here") == 2
    assert radiusd.challenge().message == PROMPT
    site.write(challenge={"prompt": "Code: "})
    eventually(lambda: radiusd.ask("alice", PIN).message == "Code: ")


@pytest.mark.once
def test_a_challenge_outlives_a_change_of_the_settings(site: Site, radiusd: Radiusd) -> None:
    challenge = radiusd.challenge()
    code = site.code(challenge.state)
    site.write(code={"digits": 8}, challenge={"prompt": "Code: "})
    eventually(lambda: radiusd.ask("alice", PIN).message == "Code: ")
    assert radiusd.ask("alice", code, challenge.state).kind == "Access-Accept"


@pytest.mark.once
def test_a_store_that_goes_away_is_no_accept_and_comes_back(site: Site, radiusd: Radiusd) -> None:
    challenge = radiusd.challenge()
    code = site.code(challenge.state)
    site.store.close()
    with site.store.write() as tx:
        assert tx.account("alice")
        reply = radiusd.ask("alice", code, challenge.state)
    assert (reply.kind, reply.message) == (
        "Access-Reject",
        "Login is not possible at the moment. Please try again later.",
    )
    assert "another process is writing to the store for too long" in radiusd.log()
    assert radiusd.ask("alice", code, challenge.state).kind == "Access-Accept"


def give_to_freerad(folder: Path) -> None:
    """Let FreeRADIUS's own user in, as on a real server: a test's folder is closed to others."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, *FREERAD, follow_symlinks=False)
    for parent in folder.parents[:3]:
        parent.chmod(parent.stat().st_mode | 0o011)


@pytest.fixture
def stock(tmp_path: Path) -> Path:
    """A copy of Debian's own raddb, in a place of its own."""
    folder = tmp_path / "stock"
    shutil.copytree(STOCK, folder, symlinks=True)
    conf = folder / "radiusd.conf"
    text = conf.read_text().replace(f"raddbdir = {STOCK}", f"raddbdir = {folder}")
    conf.write_text(text)
    give_to_freerad(folder)
    return folder


def snapshot(folder: Path) -> dict[str, str]:
    """Every file below a folder with what it holds."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text(errors="replace") for path in paths}


def test_install_into_a_stock_raddb_passes_freeradius_own_check(site: Site, stock: Path) -> None:
    assert site.server is not None
    before = snapshot(stock)
    give_to_freerad(site.folder)
    report = install.install(stock, site.settings_path, site.server)
    assert report.edited == []
    check = subprocess.run(
        [site.server.program, "-XC", "-d", stock], capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stdout[-3000:]
    after = snapshot(stock)
    changed = {name for name, text in before.items() if after[name] != text}
    assert changed == {"dictionary"}
    assert after["dictionary"].startswith(before["dictionary"])
    again = install.install(stock, site.settings_path, site.server)
    assert again.written == []
    assert snapshot(stock) == after


def test_install_keeps_a_file_that_was_edited_and_updates_the_others(
    site: Site, stock: Path
) -> None:
    assert site.server is not None
    install.install(stock, site.settings_path, site.server)
    policy, module = stock / "policy.d" / "smsotp", stock / "mods-available" / "python3_smsotp"
    policy.write_text(policy.read_text() + "\n# ours\n")
    (stock / "mods-enabled" / "python3_smsotp").unlink()
    elsewhere = site.folder / "elsewhere.yaml"
    report = install.install(stock, elsewhere, site.server)
    assert report.edited == ["policy.d/smsotp"]
    assert policy.read_text().endswith("# ours\n")
    assert str(elsewhere) in module.read_text()
    assert (stock / "mods-enabled" / "python3_smsotp").resolve() == module.resolve()


def give_to_root(folder: Path) -> None:
    """As Red Hat, SUSE and Alpine have it: FreeRADIUS's user reads it as one of the group."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 0, FREERAD[1], follow_symlinks=False)
        if not path.is_symlink():
            path.chmod(0o750 if path.is_dir() else 0o640)


@pytest.mark.parametrize("owner", ["its own user", pytest.param("root", marks=pytest.mark.once)])
def test_a_login_works_in_a_stock_raddb_as_its_own_user(
    site: Site, stock: Path, owner: str
) -> None:
    """As the tutorial says: install, `virtual_server = smsotp` for a client, user freerad."""
    assert site.server is not None
    if owner == "root":
        give_to_root(stock)
    install.install(stock, site.settings_path, site.server, name="radius.example.org")
    folder, port = site.make_raddb("scratch")
    shutil.rmtree(folder)
    # Debian's own sites listen on fixed ports.
    for name in ("sites-enabled/default", "sites-enabled/inner-tunnel", "mods-enabled/eap"):
        (stock / name).unlink()
    clients = stock / "clients.conf"
    text = clients.read_text()
    assert "client localhost {" in text
    clients.write_text(
        text.replace("client localhost {", "client localhost {\n\tvirtual_server = smsotp")
    )
    conf = (stock / "radiusd.conf").read_text().replace("reject_delay = 1", "reject_delay = 0")
    for key, value in {"logdir": stock / "log", "run_dir": stock / "run"}.items():
        conf = conf.replace(f"{key} = ", f"{key} = {value}\n# ", 1)
    listen = f"listen {{\n type = auth\n ipaddr = 127.0.0.1\n port = {port}\n}}\n"
    (stock / "radiusd.conf").write_text(conf + listen)
    (stock / "log").mkdir()
    (stock / "run").mkdir()
    for own in (stock / "log", stock / "run") if owner == "root" else (stock,):
        give_to_freerad(own)
    give_to_freerad(site.folder)
    # Before it is started, its unit lets it look itself, as its user.
    as_user = ["setpriv", "--reuid", str(FREERAD[0]), "--regid", str(FREERAD[1]), "--clear-groups"]
    subprocess.run([*as_user, site.server.program, "-XC", "-d", stock], check=True)
    radiusd = Radiusd(site, stock, port)
    site.daemons.append(radiusd)
    radiusd.start()
    assert radiusd.process is not None
    status = Path(f"/proc/{radiusd.process.pid}/status").read_text()
    assert f"Uid:\t{FREERAD[0]}\t" in status
    challenge = radiusd.challenge()
    assert radiusd.ask("alice", site.code(challenge.state), challenge.state).kind == "Access-Accept"


def test_a_server_that_has_started_is_no_larger_than_it_must(radiusd: Radiusd) -> None:
    """FreeRADIUS's own settings set 75 MiB aside for requests that max_requests never lets in."""
    radiusd.challenge()
    assert radiusd.process is not None
    status = Path(f"/proc/{radiusd.process.pid}/status").read_text()
    size = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    assert size < 90 * 1024


def test_its_threads_share_two_arenas(radiusd: Radiusd) -> None:
    """glibc would keep what each thread has once needed in an arena of its own."""
    with ThreadPoolExecutor(16) as pool:
        kinds = pool.map(lambda _: radiusd.ask("alice", PIN).kind, range(100))
        assert set(kinds) == {"Access-Challenge"}
    assert radiusd.process is not None
    found = []
    for line in Path(f"/proc/{radiusd.process.pid}/maps").read_text().splitlines():
        where, rights, *_, inode = line.split()[:5]
        # malloc/arena.c, HEAP_MAX_SIZE: a heap of an arena is aligned to 64 MiB.
        if int(where.split("-")[0], 16) % (64 << 20) == 0 and rights == "rw-p" and inode == "0":
            found.append(line)
    assert len(found) <= process.ARENAS, "\n".join(found)


def test_a_start_gives_nothing_to_warn_of(radiusd: Radiusd) -> None:
    """Whoever looks through the log for what is wrong shall not find us."""
    told = [line for line in radiusd.log().splitlines() if "Warning" in line]
    # 3.2.7 is right about the secret of these tests.
    assert [line for line in told if "Shared secret for client local is short" not in line] == []
