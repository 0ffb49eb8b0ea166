"""
The container: what its files say, what its start does, and the whole of it.

The whole, marked ``container``, needs an image: ``sh tests/container.sh`` builds it and runs all.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.documents import pages
from tests.freeradius.supplicant import PEAP_GTC, Supplicant
from tests.package.engine import (
    COMPOSE,
    PAGE,
    PIN,
    PROJECT,
    TOP,
    Demo,
    Engine,
    Second,
    Terminal,
    commands,
)
from tests.support.radius import RadiusClient
from tests.support.site import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.store.postgres_server import PostgresServer

DOCKERFILE = TOP / "freeradius" / "container" / "Dockerfile"
ENTRYPOINT = TOP / "freeradius" / "container" / "entrypoint.sh"

IMAGE = os.environ.get("SMSOTP_CONTAINER", "")
SECRET = "one \"two\" \\n ${three} %{four} #five 'six'"
"""Whatever FreeRADIUS could take for more than letters."""


SERVICES = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
OURS = {name: one for name, one in SERVICES.items() if one["image"] == "radius-smsotp"}


class TestFiles:
    def test_no_other_machine_can_ask_until_somebody_says_so(self) -> None:
        """No secret is there by itself, and the ports are for this machine only."""
        radius = SERVICES["radius"]
        ports = [f"${{SMSOTP_LISTEN:-127.0.0.1}}:{port}:{port}/udp" for port in (1812, 1813)]
        assert radius["ports"] == ports
        assert radius["environment"]["SMSOTP_SECRET"] == "${SMSOTP_SECRET:-}"
        for name, one in OURS.items():
            if name != "radius":
                assert all(port.startswith("127.0.0.1:") for port in one.get("ports", ())), name

    def test_the_demo_is_a_profile_of_its_own(self) -> None:
        """What everybody knows never gets into the volume of a real site."""
        demo = {name for name, one in SERVICES.items() if one.get("profiles") == ["demo"]}
        assert demo == {"demo", "gateway"}
        for name, one in SERVICES.items():
            said = json.dumps(one)
            is_demo = name in demo
            assert is_demo or not re.search("testing123|SMSOTP_DEMO|8025", said), name
            assert not is_demo or "volumes" not in one, name
        assert SERVICES["demo"]["working_dir"] in SERVICES["demo"]["tmpfs"]

    @pytest.mark.parametrize("name", OURS)
    def test_the_containers_have_no_rights(self, name: str) -> None:
        """They write into their volume only."""
        assert OURS[name]["read_only"] is True
        assert OURS[name]["cap_drop"] == ["ALL"]
        assert OURS[name].get("volumes") in (None, ["site:/etc/radius-smsotp"])
        assert re.search(r"(?m)^USER freerad\b", DOCKERFILE.read_text("utf-8"))

    def test_zone_and_name_of_the_machine_are_passed_on(self) -> None:
        """Times that people read are those of .env; what a container is called is no number."""
        for name, one in OURS.items():
            assert one["environment"]["TZ"] == "${TZ:-UTC}", name
        assert SERVICES["radius"]["hostname"] == "${SMSOTP_HOSTNAME:-radius}"

    def test_every_variable_is_described(self) -> None:
        """At the top of docker-compose.yml, and where it is read."""
        described = set(re.findall(r"(?m)^#   (SMSOTP_\w+) ", ENTRYPOINT.read_text("utf-8")))
        set_ = {name for one in OURS.values() for name in one["environment"]}
        assert described == {name for name in set_ if name.startswith("SMSOTP_")}
        in_dotenv = set(re.findall(r"(?m)^#   (\w+)=", COMPOSE.read_text("utf-8")))
        read = set(re.findall(r"\$\{(\w+)", COMPOSE.read_text("utf-8")))
        assert in_dotenv == {*read, "COMPOSE_PROFILES"}

    def test_what_the_image_is_built_from_is_there(self) -> None:
        """And .dockerignore lets it through."""
        ignore = (TOP / ".dockerignore").read_text("utf-8").splitlines()
        let_through = {line[1:] for line in ignore if line.startswith("!")}
        assert all((TOP / name).exists() for name in let_through)
        copied = re.findall(r"(?m)^COPY (?!--from)(\S+) ", DOCKERFILE.read_text("utf-8"))
        for source in copied:
            assert (TOP / source).exists()
            assert source == "." or source.partition("/")[0] in let_through
        assert {
            "setup.py",
            "pyproject.toml",
            "README.rst",
            "radius_smsotp",
            "packaging",
        } <= let_through

    @pytest.mark.parametrize("script", [ENTRYPOINT, TOP / "tests" / "container.sh"])
    def test_a_shell_can_read_its_scripts(self, script: Path) -> None:
        """The one of Debian, which knows POSIX only."""
        subprocess.run(["/bin/sh", "-n", script], check=True)


class Volume:
    """A folder, and the start of the container in it, up to the command that it becomes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(
        self, *command: str, programs: Path = Path(sys.executable).parent, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the script with these variables and no others, and then `command`."""
        return subprocess.run(
            ["/bin/sh", ENTRYPOINT, *(command or ("freeradius", "-v"))],
            cwd=self.folder,
            env=self._environment(programs, variables),
            capture_output=True,
            text=True,
            check=False,
        )

    def going(self, *command: str, **variables: str) -> subprocess.Popen[str]:
        """The same, while it goes on; what it writes comes together."""
        return subprocess.Popen(
            ["/bin/sh", ENTRYPOINT, *command],
            cwd=self.folder,
            env=self._environment(Path(sys.executable).parent, variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _environment(self, programs: Path, variables: dict[str, str]) -> dict[str, str]:
        own = f"{programs}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return {"PATH": own, "SMSOTP_CONFIG": str(self.folder / "smsotp.yaml"), **variables}

    def keep(self) -> None:
        """Put a copy aside."""
        shutil.copytree(self.folder, self._kept, symlinks=True)

    def restore(self) -> None:
        """Make it what it was then, under the same path, which files in it name."""
        shutil.rmtree(self.folder)
        shutil.copytree(self._kept, self.folder, symlinks=True)

    @property
    def _kept(self) -> Path:
        return self.folder.with_suffix(".kept")

    def smsotp(self, *arguments: str) -> str:
        """Run a command of ours in it, as `docker compose exec` would."""
        done = self.start("smsotp", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    """An empty one."""
    return Volume(tmp_path)


OLD_SECRET = "known-by-nobody"


@pytest.fixture(scope="module")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> Volume:
    """One that has been started once."""
    volume = Volume(tmp_path_factory.mktemp("volume"))
    done = volume.start(SMSOTP_SECRET=OLD_SECRET)
    assert done.returncode == 0, done.stderr
    volume.keep()
    return volume


@pytest.fixture
def started(first_start: Volume) -> Volume:
    """The same, as the first start has left it."""
    first_start.restore()
    return first_start


KNOWN = {"SMSOTP_SECRET": "testing123", "SMSOTP_CLIENT": "172.16.0.0/12"}


@pytest.fixture
def nothing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In the place of the program: for whether the script comes as far as to call it."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "smsotp").symlink_to("/bin/true")
    return folder


class TestStart:
    def test_the_first_start_makes_all_that_freeradius_needs(self, volume: Volume) -> None:
        """Settings, key, store and a configuration that it accepts."""
        done = volume.start("freeradius", "-C", "-l", "stdout", "-d", "raddb", SMSOTP_SECRET=SECRET)
        assert done.returncode == 0, done.stdout
        assert (volume.folder / "key").stat().st_mode & 0o777 == 0o600
        assert json.loads(volume.smsotp("user", "list", "--json")) == []

    def test_without_a_secret_there_is_no_start(self, volume: Volume) -> None:
        """None is in the image, and an empty one is none."""
        for variables in ({}, {"SMSOTP_SECRET": ""}):
            done = volume.start(**variables)
            assert done.returncode != 0
            assert "SMSOTP_SECRET: is not set" in done.stderr
        assert not list(volume.folder.iterdir())

    @pytest.mark.parametrize("listen", ["", "0.0.0.0", "192.0.2.1", "::", "[::]", "::1:1"])
    def test_a_secret_that_everybody_knows_is_for_this_machine(
        self, volume: Volume, listen: str, nothing: Path
    ) -> None:
        """So it does not start where others may reach it, or where nobody says who may."""
        done = volume.start(**KNOWN, SMSOTP_LISTEN=listen)
        assert done.returncode == 3
        assert "SMSOTP_SECRET: everybody knows 'testing123'; set another one" in done.stderr
        assert not list(volume.folder.iterdir())
        another = {"SMSOTP_SECRET": SECRET, "SMSOTP_LISTEN": listen}
        assert volume.start(programs=nothing, **another).returncode == 0

    def test_where_nobody_else_can_ask_it_is_good_enough(
        self, started: Volume, nothing: Path
    ) -> None:
        """As docker-compose.yml has it for the first try."""
        done = started.start(**KNOWN, SMSOTP_LISTEN="127.0.0.1")
        assert done.returncode == 0, done.stderr
        for listen in ("127.0.0.53", "::1", "[::1]", "localhost"):
            done = started.start(programs=nothing, **KNOWN, SMSOTP_LISTEN=listen)
            assert done.returncode == 0, (listen, done.stderr)

    def test_the_secret_stays_in_the_environment(self, started: Volume) -> None:
        """A copy of the volume does not hold it, and a new one needs no new volume."""
        assert started.start(SMSOTP_SECRET=SECRET).returncode == 0
        paths = [path for path in started.folder.rglob("*") if path.is_file()]
        assert started.folder / "raddb" / "clients.conf" in paths
        for path in paths:
            assert OLD_SECRET.encode() not in path.read_bytes()

    def test_the_script_becomes_the_command(self, volume: Volume, nothing: Path) -> None:
        """FreeRADIUS is process 1, and gets the signals."""
        (nothing / "freeradius").write_text("#!/bin/sh\necho this is $$\n")
        (nothing / "freeradius").chmod(0o755)
        with subprocess.Popen(
            ["/bin/sh", ENTRYPOINT, "freeradius"],
            cwd=volume.folder,
            env={"PATH": f"{nothing}:/usr/bin:/bin", "SMSOTP_SECRET": SECRET},
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert f"this is {process.pid}\n" in process.communicate()[0]

    def test_another_command_is_started_as_it_is(self, volume: Volume) -> None:
        """A backup is put back where nothing is yet."""
        assert volume.smsotp("--version").startswith("smsotp ")
        assert volume.start("sh", "-c", "echo there").stdout == "there\n"
        assert not list(volume.folder.iterdir())

    def test_the_next_start_keeps_what_is_there(self, started: Volume) -> None:
        """Key, accounts, and what the administrator has changed in FreeRADIUS's files."""
        started.smsotp("user", "add", "alice", "--phone", "+491701234567", "--no-pin")
        edited = [started.folder / "raddb" / name for name in ("clients.conf", "policy.d/smsotp")]
        for path in edited:
            path.write_text(path.read_text("utf-8") + "# mine\n", "utf-8")
        key = (started.folder / "key").read_bytes()
        done = started.start(SMSOTP_SECRET=SECRET)
        assert done.returncode == 0
        assert "policy.d/smsotp: kept" in done.stdout
        assert (started.folder / "key").read_bytes() == key
        assert "alice" in started.smsotp("user", "list")
        for path in edited:
            assert path.read_text("utf-8").endswith("# mine\n")

    def test_a_new_image_brings_the_files_that_nobody_has_edited(self, started: Volume) -> None:
        """A file that is as an older version has written it becomes that of this one."""
        name = "sites-available/smsotp"
        path, manifest = started.folder / "raddb" / name, started.folder / "raddb" / ".smsotp.json"
        new = path.read_text("utf-8")
        path.write_text("# of an older version\n", "utf-8")
        digests = json.loads(manifest.read_text("utf-8"))
        digests[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        manifest.write_text(json.dumps(digests), "utf-8")
        assert f"written    raddb/{name}" in started.start(SMSOTP_SECRET=SECRET).stdout
        assert path.read_text("utf-8") == new

    def test_the_demo_is_made_once_and_what_it_has_left_is_told(self, volume: Volume) -> None:
        """Alice and the page: at each start of a real site, until they are gone."""
        settings = volume.folder / "smsotp.yaml"
        assert "alice: added" in volume.start(SMSOTP_SECRET=SECRET, SMSOTP_DEMO="1").stdout
        told = volume.start(SMSOTP_SECRET=SECRET).stderr
        assert "smsotp.yaml sends codes to its page" in told
        assert "'smsotp user delete alice'" in told
        volume.smsotp("user", "delete", "alice", "--yes")
        settings.write_text(settings.read_text("utf-8").replace("http://gateway:8025", "http://x"))
        again = volume.start(SMSOTP_SECRET=SECRET, SMSOTP_DEMO="1")
        assert "alice" not in again.stdout + again.stderr

    def test_another_store_in_the_environment_is_told_and_changes_nothing(
        self, started: Volume
    ) -> None:
        """The accounts are in the one that the settings name."""
        done = started.start(SMSOTP_SECRET=SECRET, SMSOTP_STORE="postgresql://smsotp@db.invalid/x")
        assert done.returncode == 0
        old, new = f"sqlite:///{started.folder}/smsotp.db", "postgresql://smsotp@db.invalid/x"
        assert f"smsotp store copy {old} {new}; then change 'store'" in done.stdout
        assert "FreeRADIUS" in done.stdout

    def test_what_has_gone_is_told_and_not_made_anew(self, started: Volume) -> None:
        """An empty store in its place would be worse than none, and so would another key."""
        for name in ("smsotp.db", "key"):
            gone = (started.folder / name).rename(started.folder / "elsewhere")
            done = started.start(SMSOTP_SECRET=SECRET)
            assert done.returncode == 3
            assert f"/{name}" in done.stderr
            assert "backup" in done.stderr
            assert not (started.folder / name).exists()
            gone.rename(started.folder / name)

    def test_what_is_no_store_ends_the_first_start_at_once(self, volume: Volume) -> None:
        done = volume.start(SMSOTP_SECRET=SECRET, SMSOTP_STORE="mysql://smsotp@db/smsotp")
        assert done.returncode == 3
        assert "mysql" in done.stderr
        assert "tried again" not in done.stderr

    def test_a_database_that_is_not_up_yet_is_waited_for_until_the_end_comes(
        self, volume: Volume
    ) -> None:
        """And that comes at once."""
        store = "postgresql://smsotp@127.0.0.1:1/smsotp"
        with volume.going("freeradius", SMSOTP_SECRET=SECRET, SMSOTP_STORE=store) as process:
            assert process.stdout is not None
            eventually(lambda: "tried again for 60 s" in (process.stdout or ()).readline())  # type: ignore[union-attr]  # it is there
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0

    def test_services_wait_for_what_they_work_with(self, volume: Volume) -> None:
        """And end at once, before and afterwards."""
        prune = ("smsotp", "prune", "--every", "1d")
        for told in ("", "removed: 0"):
            with volume.going(*prune) as process:
                assert process.stdout is not None
                if told:
                    assert told in process.stdout.readline()
                else:
                    pid = process.pid
                    eventually(lambda pid=pid: child(pid) == "sleep")  # type: ignore[misc]  # bool
                process.send_signal(signal.SIGTERM)
                assert process.wait(20) == 0
            volume.start(SMSOTP_SECRET=SECRET)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
    @pytest.mark.parametrize("whose", ["folder", "file"])
    def test_it_says_whose_a_bind_mount_must_be(self, volume: Volume, whose: str) -> None:
        """The kernel says no more than that it may not be written to."""
        os.chown(volume.folder, 65534 if whose == "file" else 0, 65534)
        (volume.folder / "key").touch(0o600)
        for folder in volume.folder.parents[:3]:
            folder.chmod(0o755)
        done = subprocess.run(
            ["/bin/sh", ENTRYPOINT, "freeradius"],
            cwd=volume.folder,
            env={"PATH": "/usr/bin:/bin", "SMSOTP_SECRET": SECRET},
            user=65534,
            group=65534,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 3
        assert "belongs to another user; on the host: chown -R 65534:65534 FOLDER" in done.stderr

    def test_two_servers_share_a_database_and_one_key(
        self, tmp_path: Path, postgres_server: PostgresServer
    ) -> None:
        """The second one begins with a backup of the first; without it, it does not start."""
        first, second = Volume(tmp_path / "first"), Volume(tmp_path / "second")
        said = {"SMSOTP_SECRET": SECRET, "SMSOTP_STORE": postgres_server.make_url()}
        for one in (first, second):
            one.folder.mkdir()
        assert first.start(**said).returncode == 0
        done = second.start(**said)
        assert done.returncode == 3
        assert "the store was used with another key" in done.stderr
        assert not (second.folder / "key").exists()
        secret = tmp_path / "passphrase"
        secret.touch(0o600)
        secret.write_text("a long passphrase\n")
        sealed = ("smsotp.backup", "--passphrase-file", str(secret))
        first.smsotp("backup", *sealed)
        for path in second.folder.iterdir():
            path.unlink()
        (first.folder / "smsotp.backup").rename(second.folder / "smsotp.backup")
        second.smsotp("restore", *sealed, "--join")
        assert second.start(**said).returncode == 0
        keys = [(one.folder / "key").read_bytes() for one in (first, second)]
        assert keys[0] == keys[1]


def child(number: int) -> str:
    """The name of the last process that a process has started."""
    children = Path(f"/proc/{number}/task/{number}/children").read_text("ascii").split()
    return Path(f"/proc/{children[-1]}/comm").read_text("utf-8").strip() if children else ""


def running(one: Engine) -> Iterator[Engine]:
    """Start it, and remove it afterwards with its volumes."""
    one.remove()
    try:
        one.up()
        yield one
    finally:
        one.remove()


@pytest.fixture(scope="module")
def demo() -> Iterator[Engine]:
    """The demonstration, running."""
    yield from running(Demo(""))


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """The container with alice in it, running, and beside it what docker-compose.yml starts."""
    for one in running(Engine(SECRET, SMSOTP_HOSTNAME="radius1", TZ="Europe/Berlin")):
        one.add()
        yield one


@pytest.mark.container
class TestDemo:
    def test_a_new_user_logs_in(self, demo: Engine) -> None:
        """With nothing but the commands at the top of docker-compose.yml."""
        terminal, code = demo.login()
        assert "<- Access-Accept" in terminal.shown
        assert re.search(r"PIN: \r\n", terminal.shown), "what is typed is shown"
        assert code not in terminal.shown

    def test_the_page_is_there_for_this_machine(self, demo: Engine) -> None:
        """And the message on it is the one that the account's number got."""
        with urllib.request.urlopen(PAGE, timeout=30) as reply:
            assert b"<title>SMS</title>" in reply.read()
        reply = RadiusClient(18120, "testing123").ask("alice", PIN)
        assert reply.kind == "Access-Challenge"
        assert re.match(r"\d{6} ", demo.texts()[-1])

    def test_it_ends_at_once_and_leaves_nothing(self, demo: Engine) -> None:
        """By the third command; a real site has neither account nor page."""
        assert [demo.ended(service) for service in ("gateway", "demo")] == [("0", 0)] * 2
        demo.compose(*commands()[2])
        assert PROJECT not in demo.podman("ps", "--all", "--format", "{{.Names}}")
        assert PROJECT not in demo.podman("volume", "ls", "--format", "{{.Name}}")


@pytest.mark.container
class TestContainer:
    def test_the_first_login_leaves_no_error_in_the_log(self, engine: Engine) -> None:
        """FreeRADIUS has much to say of requests that might as well be signed."""
        terminal, code = engine.login()
        assert code not in terminal.shown
        assert not re.findall("(?i).*(?:error|blastradius).*", engine.log())

    def test_nobody_has_heard_of_the_demo(self, engine: Engine) -> None:
        """Neither its page nor its account is there."""
        shown = engine.podman("ps", "--format", "{{.Names}}").split()
        assert sorted(shown) == [f"{PROJECT}_{one}_1" for one in ("exporter", "prune", "radius")]
        assert "8025" not in engine.inside("cat", "smsotp.yaml")

    def test_the_services_serve(self, engine: Engine) -> None:
        """Figures for Prometheus, and a clean-up at the start and then once a day."""
        with urllib.request.urlopen("http://127.0.0.1:9812/metrics", timeout=30) as reply:
            assert "smsotp_up 1.0" in reply.read().decode()
        eventually(lambda: "removed: " in engine.podman("logs", f"{PROJECT}_prune_1"))

    def test_times_and_titles_are_those_of_the_site(self, engine: Engine) -> None:
        """Zone and name come from .env."""
        assert re.search(r"\d CES?T", engine.inside("smsotp", "trace", "alice"))
        assert "radius1" in engine.inside("smsotp", "report", "-")

    def test_this_machine_can_ask_at_the_published_port(self, engine: Engine) -> None:
        """With the secret of the environment, whatever letters it has."""
        reply = RadiusClient(1812, SECRET).ask("alice", PIN)
        assert reply.kind == "Access-Challenge"

    def test_a_wifi_device_gets_in(self, engine: Engine, tmp_path: Path) -> None:
        """With the certificate that the first start has made: the PIN, then the code."""
        authority = tmp_path / "certs" / "smsotp" / "ca.pem"
        authority.parent.mkdir(parents=True)
        authority.write_text(engine.inside("cat", "raddb/certs/smsotp/ca.pem"), "utf-8")
        access_point = SimpleNamespace(folder=tmp_path, port=1812)
        add = "smsotp user add carol --phone +491701234599 --pin-stdin"
        engine.inside("sh", "-c", f"echo {PIN} | {add}")

        def device() -> Supplicant:
            return Supplicant(access_point, PEAP_GTC, "carol", secret=SECRET)  # type: ignore[arg-type]  # it has port and folder

        with device() as asked:
            assert asked.question() == "PIN: "
            assert "***99" in str(asked.answer(PIN))
            code = re.findall(r"\b\d{6}\b", engine.texts()[-1])[0]
            assert asked.answer(code) is None
            assert asked.accepted()
        with device() as asked:
            assert asked.question() == "PIN: "
            assert asked.answer("4321") is None
            assert not asked.accepted()

    def test_freeradius_is_process_1_without_any_rights(self, engine: Engine) -> None:
        """It is not root, and cannot become root."""
        assert engine.inside("cat", "/proc/1/comm") == "freeradius\n"
        status = dict(
            line.split(":\t", 1) for line in engine.inside("cat", "/proc/1/status").splitlines()
        )
        number = engine.inside("id", "-u", "freerad").strip()
        assert number != "0"
        assert status["Uid"].split() == [number] * 4
        assert int(status["CapBnd"], 16) == 0
        assert status["NoNewPrivs"] == "1"

    def test_nobody_else_can_read_key_and_store(self, engine: Engine) -> None:
        """As `smsotp init` makes them."""
        shown = engine.inside("stat", "-c", "%n %a %U", "key", "smsotp.db")
        assert shown.splitlines() == ["key 600 freerad", "smsotp.db 600 freerad"]

    def test_the_check_finds_no_error(self, engine: Engine) -> None:
        found = json.loads(engine.inside("smsotp", "check", "--json"))
        assert not [one for one in found if one["level"] == "error"]

    def test_who_does_not_answer_is_not_healthy(self, engine: Engine) -> None:
        """The check asks with Status-Server, and takes no other answer than a signed one."""
        assert engine.is_healthy()
        engine.podman("kill", "--signal", "STOP", engine.name)
        try:
            assert not engine.is_healthy()
        finally:
            engine.podman("kill", "--signal", "CONT", engine.name)

    def test_log_and_environment_tell_nothing(self, engine: Engine) -> None:
        """No code, no number; and of secrets the one that the environment is there for."""
        _, code = engine.login()
        assert code not in engine.log()
        assert "+491701234567" not in engine.log()
        variables = engine.inside("env").splitlines()
        ours = {line.partition("=")[0] for line in variables if line.startswith("SMSOTP_")}
        assert ours == {
            name for name in OURS["radius"]["environment"] if name.startswith("SMSOTP_")
        }
        key = engine.inside("cat", "key").split()[-1]
        assert key not in "".join(variables)

    def test_a_restart_keeps_key_and_accounts(self, engine: Engine) -> None:
        """A new container too; and a new secret counts from then on."""
        key = engine.inside("sha256sum", "key")
        engine.compose("restart")
        engine.wait(2)
        engine.login()
        engine.compose("down")
        engine.secret = "another"
        engine.up()
        engine.login()
        assert engine.inside("sha256sum", "key") == key
        assert engine.inside("smsotp", "user", "list").count("alice") == 1

    def test_it_ends_when_it_is_told_to(self, engine: Engine) -> None:
        """By itself: FreeRADIUS closes down, nothing is killed, nor was started anew before."""
        services = ("prune", "exporter", "radius")
        assert [engine.ended(one) for one in services] == [("0", 0)] * 3
        assert "Exiting normally" in engine.log()
        engine.compose("start")
        engine.wait(2)


@pytest.mark.container
def test_a_bind_mount_of_root_is_told(tmp_path: Path) -> None:
    """With whose it must be, not as what the kernel says."""
    mount = ("--volume", f"{tmp_path}:/etc/radius-smsotp", "--env", "SMSOTP_SECRET=x")
    done = subprocess.run(
        ["podman", "run", "--rm", *mount, IMAGE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "on the host: chown -R 812:812" in done.stderr


class Page:
    """
    Types commands of the page, with `docker` and `editor` of its own.

    Args:
        folder: Where what is fetched and edited lies; not in the checkout.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def type(self, commands: list[str], one: Engine) -> None:
        """One after the other; each has to succeed."""
        compose = " ".join(map(shlex.quote, one.program))
        for name, script in (
            ("docker", f'[ "$1" = compose ] || exit 1; shift\nexec {compose} "$@"'),
            ("editor", 'echo "# mine" >>"$1"'),
        ):
            (self._folder / name).write_text(f"#!/bin/sh\n{script}\n", "utf-8")
            (self._folder / name).chmod(0o755)
        environment = {**one.environment(), "PATH": f"{self._folder}:{os.environ['PATH']}"}
        for command in commands:
            line = re.sub(r"(?<=[<>])(?=(?:smsotp|clients)\.\w+$)", f"{self._folder}/", command)
            line = line.replace("editor ", f"editor {self._folder}/")
            with Terminal(["sh", "-c", line], environment) as terminal:
                self._answer(terminal, command, one)

    def _answer(self, terminal: Terminal, command: str, one: Engine) -> None:
        if " login " in command:
            terminal.wait_for("PIN: ")
            terminal.type(PIN)
            terminal.wait_for("sent to ***67: ")
            terminal.type(re.findall(r"\b\d{6}\b", one.texts()[-1])[0])
        for part, asked in ASKED.items():
            for question, answer in asked if part in command else ():
                terminal.wait_for(question)
                terminal.type(answer)
        if command.endswith(("logs -f", "freeradius -X -d raddb")):
            terminal.wait_for("Ready to process requests", 120)
            if command.endswith("-d raddb"):
                # Its terminal is the container's, where Ctrl-C ends FreeRADIUS.
                terminal.type("\x03")
                terminal.status(120)
            return
        assert terminal.status(120) == 0, terminal.shown
        if command.endswith(("up -d", "up -d demo", "restart", " start")):
            eventually(one.is_healthy)


PHRASE = "a long passphrase"
ASKED = {
    "user add": [("PIN: ", PIN), ("The same PIN again: ", PIN)],
    "smsotp backup smsotp": [("assphrase: ", PHRASE), ("again: ", PHRASE)],
    "smsotp restore": [("assphrase: ", PHRASE)],
}
"""Part of a command, to what it asks and what is typed then."""


@pytest.mark.container
def test_the_commands_of_the_page_work_as_they_stand_there(tmp_path: Path) -> None:
    """One after the other, from the first start to the removal, and a second server meanwhile."""
    page, store = Page(tmp_path), "postgresql://smsotp@postgres/smsotp"
    demo, one = Demo(""), Engine(SECRET, SMSOTP_HOSTNAME="radius1")
    shared = {"SMSOTP_STORE": store, "SMSOTP_STORE_PASSWORD": "a password"}
    two = Second(SECRET, tmp_path, SMSOTP_LISTEN="127.0.0.2", SMSOTP_HOSTNAME="radius2", **shared)
    one.remove()
    try:
        page.type(pages.typed("In a container"), demo)
        assert PROJECT not in one.podman("ps", "--all", "--format", "{{.Names}}")

        page.type(pages.typed("A container for good"), one)
        assert one.inside("cat", "smsotp.yaml").endswith("# mine\n")
        page.type(pages.typed("Back a container up"), one)
        assert "client local {" in (tmp_path / "clients.conf").read_text("utf-8")
        key = one.inside("cat", "key")
        one.remove()
        page.type(pages.typed("Restore a container"), one)
        assert one.inside("cat", "key") == key

        one.more |= {"COMPOSE_PROFILES": "postgres", **shared}
        page.type(pages.typed("Move a container to PostgreSQL"), one)
        assert "bob" in one.inside("smsotp", "user", "list")
        found = json.loads(one.inside("smsotp", "check", "--json"))
        assert "PostgreSQL" in next(line["fault"] for line in found if line["path"] == "store")

        page.type(pages.typed("Back a container up"), one)
        one.podman("rm", "--force", f"{PROJECT}_exporter_1")  # two machines have two such ports
        page.type(pages.typed("Two containers on one PostgreSQL"), two)
        first, second = RadiusClient(1812, SECRET), RadiusClient(1812, SECRET, host="127.0.0.2")
        state = first.ask("bob", PIN).state
        code = re.findall(r"\b\d{6}\b", one.texts()[-1])[0]
        assert second.ask("bob", code, state).kind == "Access-Accept"
        assert first.ask("bob", code, state).kind == "Access-Reject"

        page.type(pages.typed("Remove a container"), two)
        page.type(pages.typed("Remove a container"), one)
        assert PROJECT not in one.podman("ps", "--all", "--format", "{{.Names}}")
        assert PROJECT not in one.podman("volume", "ls", "--format", "{{.Name}}")
    finally:
        # `down` knows nothing of what `run` has left, should this have failed meanwhile.
        one.podman("rm", "--all", "--force")
        two.compose("down", "--volumes")
        one.remove()


@pytest.mark.container
def test_postgresql_keeps_the_accounts_where_the_profile_says_so() -> None:
    """With the lines of .env at the top of docker-compose.yml; a new container finds them again."""
    said = dict(
        re.findall(r"(?m)^#   (COMPOSE_\w+|SMSOTP_STORE)=(.+)$", COMPOSE.read_text("utf-8"))
    )
    one = Engine(SECRET, SMSOTP_STORE_PASSWORD="a password", **said)
    one.remove()
    try:
        one.up()
        one.add()
        one.login()
        shown = json.loads(one.inside("smsotp", "check", "--json"))
        assert "PostgreSQL 17" in next(line["fault"] for line in shown if line["path"] == "store")
        assert "smsotp.db" not in one.inside("ls")
        assert "a password" not in one.inside("cat", "smsotp.yaml")
        one.compose("down")
        one.up()
        one.login()
    finally:
        one.remove()


@pytest.mark.container
class TestImage:
    def test_nothing_secret_is_in_it(self) -> None:
        """No variable, no key, nothing that pip or a first start leaves behind."""
        engine = Engine(SECRET)
        described: Any = json.loads(engine.podman("image", "inspect", IMAGE))[0]["Config"]
        assert not [line for line in described["Env"] if line.startswith("SMSOTP_")]
        root = Path(engine.podman("image", "mount", IMAGE).strip())
        assert not list((root / "etc/radius-smsotp").iterdir())
        assert not list((root / "opt/radius-smsotp").glob("lib/python*/site-packages/pip"))
        for folder, _, names in os.walk(root):
            for path in (Path(folder, name) for name in names):
                if path.is_file() and not path.is_symlink():
                    with path.open("rb") as file:
                        assert not re.match(rb"-----BEGIN [A-Z ]*PRIVATE KEY", file.read(64)), path

    def test_it_is_small(self) -> None:
        """Without what nobody asks for: the towns of numbers, Perl, documents, languages."""
        described = json.loads(Engine(SECRET).podman("image", "inspect", IMAGE))[0]
        assert described["Size"] < 350e6

    def test_the_health_check_is_in_it(self) -> None:
        """For those who start it without docker-compose.yml."""
        described = json.loads(Engine(SECRET).podman("image", "inspect", IMAGE))[0]
        assert "radclient" in described["Healthcheck"]["Test"][-1]
