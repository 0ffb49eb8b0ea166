"""``smsotp check`` on the raddb in use: our files, what leads to them, and Wi-Fi."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.cli.check import raddb as check_raddb
from radius_smsotp.raddb import certificates, files, freeradius, install
from tests.cli.check.test_command import OURSELVES

if TYPE_CHECKING:
    from tests.cli.installation import Installation

pytestmark = pytest.mark.slow
"""Each makes certificates, by openssl."""

SERVER = freeradius.FreeRadius(Path("/usr/sbin/freeradius"), (3, 2, 1))


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority and what it has signed, made once."""
    made = tmp_path_factory.mktemp("certificates")
    certificates.ensure(made, "radius.example.org")
    return made


@pytest.fixture
def folder(here: Installation, tmp_path: Path, signed: Path) -> Path:
    """A raddb of our own making, for this installation."""
    made = tmp_path / "raddb"
    shutil.copytree(signed, made / files.CERTIFICATES)
    (made / files.MANIFEST).write_text("{}")  # as `restore` leaves it
    install.create(made, here.settings_path, SERVER, secret="geheim", name="radius.example.org")
    return made


def found(folder: Path, here: Installation) -> dict[str, tuple[str, str]]:
    """Path within raddb to level and fault, of all that is no note."""
    result = here.run("check", "--json", *OURSELVES, "--raddb", str(folder))
    return {
        one["path"].removeprefix(f"{folder}/"): (one["level"], one["fault"])
        for one in json.loads(result.output)
        if one["path"].startswith(str(folder)) and one["level"] != "note"
    }


class TestFiles:
    def test_a_new_one_has_nothing_wrong(self, here: Installation, folder: Path) -> None:
        assert found(folder, here) == {}

    def test_one_beside_the_settings_is_found(self, here: Installation, folder: Path) -> None:
        folder.rename(here.folder / "raddb")
        assert check_raddb.place(here.settings_path) == here.folder / "raddb"

    def test_one_without_any_of_our_files_is_not_ours(
        self, here: Installation, tmp_path: Path
    ) -> None:
        stock = tmp_path / "stock"
        stock.mkdir()
        (stock / "radiusd.conf").touch()
        result = here.run("check", *OURSELVES, "--raddb", str(stock))
        assert result.exit_code == 0
        assert f"warning  {stock}: holds none of our files; 'smsotp raddb install'" in result.output

    def test_a_file_that_is_gone(self, here: Installation, folder: Path) -> None:
        (folder / "policy.d/smsotp").unlink()
        assert found(folder, here)["policy.d/smsotp"] == ("error", "is missing")
        install.install(folder, here.settings_path, SERVER)
        assert found(folder, here) == {}

    def test_a_file_that_was_edited_is_only_noted(self, here: Installation, folder: Path) -> None:
        edit(folder / "policy.d/smsotp")
        assert found(folder, here) == {}
        result = here.run("check", *OURSELVES, "--raddb", str(folder))
        assert f"{folder}/policy.d/smsotp: was edited" in result.output

    def test_a_file_of_an_older_version(self, here: Installation, folder: Path) -> None:
        old(folder, "policy.d/smsotp")
        level, fault = found(folder, here)["policy.d/smsotp"]
        assert (level, fault) == ("warning", "is not as this version writes it")

    def test_an_edited_file_of_an_older_version(self, here: Installation, folder: Path) -> None:
        old(folder, "policy.d/smsotp")
        edit(folder / "policy.d/smsotp")
        level, fault = found(folder, here)["policy.d/smsotp"]
        assert (level, fault) == ("warning", "was edited, and differs from this version's")

    @pytest.mark.parametrize("link", files.LINKS)
    def test_a_file_that_is_not_enabled(self, here: Installation, folder: Path, link: str) -> None:
        (folder / link).unlink()
        assert found(folder, here)[link] == ("error", "is not enabled")

    def test_a_dictionary_that_does_not_include_ours(
        self, here: Installation, folder: Path
    ) -> None:
        (folder / "dictionary").write_text(f"# {files.INCLUDE}\n")
        assert found(folder, here)["dictionary"][0] == "error"


class TestCalls:
    """Whether a login gets to the policy at all."""

    @pytest.fixture(autouse=True)
    def nothing_calls(self, folder: Path) -> None:
        conf = folder / "radiusd.conf"
        conf.write_text(conf.read_text().replace("virtual_server = smsotp\n", "\n"))

    def test_no_client_leads_to_it(self, here: Installation, folder: Path) -> None:
        level, fault = found(folder, here)["clients.conf"]
        assert level == "error"
        assert fault == "no client is sent through the virtual server smsotp"

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("clients.conf", "client vpn {\n\tvirtual_server = smsotp\n}\n"),
            ("clients.conf", 'client vpn {\n\tvirtual_server = "smsotp"\n}\n'),
            ("clients.conf", "client vpn {\n\tvirtual_server = smsotp-gtc\n}\n"),
            (
                "sites-enabled/wifi",
                "server wifi {\nauthorize {\n smsotp_conversation\n smsotp_eap {\n"
                " ok = return\n }\n}\n}\n",
            ),
            (
                "sites-enabled/default",
                "server x {\nauthorize {\n smsotp_authorize\n}\npost-auth {\n smsotp_admit\n"
                "Post-Auth-Type REJECT {\n smsotp_post_auth\n}\n}\n}\n",
            ),
        ],
    )
    def test_one_does(self, here: Installation, folder: Path, name: str, text: str) -> None:
        (folder / name).write_text(text)
        assert found(folder, here) == {}

    def test_a_comment_does_not(self, here: Installation, folder: Path) -> None:
        (folder / "clients.conf").write_text("client vpn {\n#\tvirtual_server = smsotp\n}\n")
        assert "clients.conf" in found(folder, here)

    def test_the_inner_tunnel_is_another_one(self, here: Installation, folder: Path) -> None:
        (folder / "clients.conf").write_text("\tvirtual_server = smsotp-inner-tunnel\n")
        assert "clients.conf" in found(folder, here)


class TestWifi:
    @pytest.mark.parametrize(
        ("days", "level"), [(0, "error"), (50, "warning"), (70, None)], ids=str
    )
    @pytest.mark.parametrize("own", [False, True], ids=["ours", "own"])
    def test_a_certificate_is_looked_at(
        self, here: Installation, folder: Path, days: int, level: str | None, own: bool
    ) -> None:
        """It may be of another authority than the one that lies beside it."""
        place = folder / files.CERTIFICATES / "server.pem"
        make_certificate(place, days, own=own)
        told = found(folder, here).get(f"{files.CERTIFICATES}/server.pem")
        assert (told and told[0]) == level

    def test_what_it_says_mends_it(self, here: Installation, folder: Path) -> None:
        place = folder / files.CERTIFICATES / "server.pem"
        make_certificate(place, 0)
        result = here.run("check", "--json", *OURSELVES, "--raddb", str(folder))
        [told] = [one for one in json.loads(result.output) if one["path"] == str(place)]
        remedy, _, rest = told["remedy"].partition(", and ")
        assert rest == "restart FreeRADIUS"
        here.done(*remedy.removeprefix("smsotp ").split())
        assert found(folder, here) == {}

    def test_one_of_another_authority_is_renewed_there(
        self, here: Installation, folder: Path
    ) -> None:
        place = folder / files.CERTIFICATES / "server.pem"
        make_certificate(place, 5, own=True)
        result = here.run("check", "--json", *OURSELVES, "--raddb", str(folder))
        [first, second] = [one for one in json.loads(result.output) if one["path"] == str(place)]
        assert "was not signed by" in first["fault"]
        assert second["remedy"].startswith("renew it where it comes from, with the same name")

    def test_an_authority_is_worth_a_word_a_year_ahead(
        self, here: Installation, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each device has to be given it again."""
        place = folder / files.CERTIFICATES
        for path in place.iterdir():
            path.unlink()
        with monkeypatch.context() as then:
            then.setattr(certificates, "AUTHORITY_DAYS", 360)
            certificates.ensure(place, "radius.example.org")
        name = f"{files.CERTIFICATES}/ca.pem"
        assert found(folder, here) == {name: ("warning", "expires in 359 days")}
        told = here.done("raddb", "certificate", "--renew", "--raddb", str(folder))
        assert f"Give each device {place / 'ca.pem'} again, by 20" in told
        assert found(folder, here) == {}

    def test_a_certificate_that_is_none(self, here: Installation, folder: Path) -> None:
        (folder / files.CERTIFICATES / "server.pem").write_text("-----BEGIN\n")
        assert found(folder, here)[f"{files.CERTIFICATES}/server.pem"][0] == "error"

    def test_a_secret_that_everybody_can_read(self, here: Installation, folder: Path) -> None:
        """Where nothing above it is closed."""
        (folder / files.GTC).chmod(0o644)
        assert found(folder, here) == {}
        with tempfile.TemporaryDirectory() as name:
            place = Path(name, "raddb")
            shutil.copytree(folder, place, symlinks=True)
            for one in (place.parent, place, place / "mods-config", (place / files.GTC).parent):
                one.chmod(0o755)
            assert found(place, here)[files.GTC] == ("error", "is open to everybody")

    def test_without_wifi_nobody_asks_for_them(self, here: Installation, folder: Path) -> None:
        (folder / files.WIFI_LINKS[0]).unlink()
        (folder / files.GTC).unlink()
        assert found(folder, here) == {}


def edit(path: Path) -> None:
    """Change a file as an administrator does."""
    path.write_text(path.read_text() + "# mine\n")


def old(folder: Path, name: str) -> None:
    """Let a file be what an older version wrote."""
    text = "# as it was once\n"
    (folder / name).write_text(text)
    manifest = json.loads((folder / files.MANIFEST).read_text())
    manifest[name] = files.digest(text.encode())
    (folder / files.MANIFEST).write_text(json.dumps(manifest))


def make_certificate(path: Path, days: int, *, own: bool = False) -> None:
    """
    A certificate that ends in so many days, counted from now.

    Args:
        own: It is signed by itself, not by the authority beside it.
    """
    request, name = path.with_suffix(".csr"), "/CN=radius.example.org"
    key = path.with_suffix(".key")
    ask = ["openssl", "req", "-new", *certificates.KEY, "-subj", name]
    ask += ["-addext", "subjectAltName=DNS:radius.example.org"]
    subprocess.run([*ask, "-keyout", key, "-out", request], check=True, capture_output=True)
    sign = ["openssl", "x509", "-req", "-in", request, "-out", path, "-copy_extensions", "copy"]
    ca = ["-CA", path.with_name("ca.pem"), "-CAkey", path.with_name("ca.key"), "-CAcreateserial"]
    # 0 days: it ends in the second in which it begins.
    sign += ["-days", str(days), *(["-signkey", key] if own else ca)]
    subprocess.run(sign, check=True, capture_output=True)


class TestInstances:
    def test_those_that_fit_another_store(self, here: Installation, tmp_path: Path) -> None:
        """After it was moved; the command that it names mends it."""
        server = freeradius.FreeRadius(SERVER.program, (3, 2, 7))
        raddb, settings = tmp_path / "raddb", here.settings_path
        again = f"smsotp raddb install --raddb {raddb}"

        def told() -> list[tuple[str, str, str]]:
            found = check_raddb.instance_findings(server, raddb, settings)
            return [(one.path.removeprefix(f"{raddb}/"), one.fault, one.remedy) for one in found]

        install.create(raddb, settings, server, name="radius.example.org")
        assert told() == []
        here.write(store="postgresql://smsotp@db.example.org/smsotp")
        disk, (pool, policy) = files.DISK_LINKS[0], files.POOL_LINKS
        lacking = "logins wait for each other's database: smsotp_2 is not enabled"
        assert told() == [
            (disk, "is of no use with PostgreSQL", again),
            ("mods-enabled", lacking, again),
        ]
        install.install(raddb, settings, server, database=True)
        assert told() == []
        (raddb / policy).unlink()
        assert told() == [(policy, "is not enabled", again)]
        here.write(store="sqlite:///smsotp.db")
        lacking = "logins wait for each other's disk: smsotp_disk is not enabled"
        assert told() == [
            ("mods-enabled", lacking, again),
            (pool, "is of no use with SQLite", again),
        ]

    def test_those_that_an_older_freeradius_does_not_run(
        self, here: Installation, tmp_path: Path
    ) -> None:
        """After a downgrade, say; the command that it names takes them away."""
        raddb, settings = tmp_path / "raddb", here.settings_path
        server = freeradius.FreeRadius(SERVER.program, (3, 2, 7))
        install.create(raddb, settings, server, name="radius.example.org", database=True)
        [found] = check_raddb.instance_findings(SERVER, raddb, settings)
        assert found.fault.startswith("17 python3 instances, smsotp and smsotp_2 and others, ")
        assert found.remedy == f"smsotp raddb install --raddb {raddb}"
        install.install(raddb, settings, SERVER, database=True)
        assert check_raddb.instance_findings(SERVER, raddb, settings) == []


class TestWaits:
    """FreeRADIUS hands requests to itself, and gives up what does not answer in time."""

    def told(self, folder: Path, here: Installation) -> dict[str, str]:
        """Path to fault, of what is an error."""
        result = here.run("check", "--json", *OURSELVES, "--raddb", str(folder))
        said = json.loads(result.output)
        return {one["path"]: one["fault"] for one in said if one["level"] == "error"}

    def test_a_wait_that_the_tunnels_do_not_sit_out(self, here: Installation, folder: Path) -> None:
        here.write(delivery={"wait": 9})
        assert self.told(folder, here) == {}
        site = folder / "sites-available" / "smsotp-gtc"
        site.write_text(site.read_text().replace("response_window = 30", "response_window = 8"))
        [(path, fault)] = self.told(folder, here).items()
        assert path == "smsotp.yaml: delivery.wait"
        assert "9 s, and FreeRADIUS waits for 8 s" in fault
        # A home server that says nothing has FreeRADIUS's 30 s.
        site.write_text(site.read_text().replace("response_window", "#response_window"))
        assert self.told(folder, here) == {}
