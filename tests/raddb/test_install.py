"""A raddb: made and made again, extended, and left as it was."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from radius_smsotp.errors import SmsotpError
from radius_smsotp.raddb import clients as raddb_clients
from radius_smsotp.raddb import files, install
from radius_smsotp.raddb import removal as raddb_removal
from radius_smsotp.raddb.freeradius import FreeRadius

SERVER = FreeRadius(Path("/usr/sbin/freeradius"), (3, 2, 7))
SETTINGS = Path("/etc/radius-smsotp/smsotp.yaml")


def snapshot(folder: Path) -> dict[str, str]:
    """Every file and link below a folder, and what it is."""
    return {
        str(path.relative_to(folder)): f"-> {path.readlink()}"
        if path.is_symlink()
        else "folder"
        if path.is_dir()
        else hashlib.sha256(path.read_bytes()).hexdigest() + oct(path.stat().st_mode)
        for path in folder.rglob("*")
    }


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A raddb that `create` has made."""
    folder = tmp_path / "raddb"
    install.create(folder, SETTINGS, SERVER, secret="one", name="radius.example.org")
    return folder


@pytest.fixture
def stock(tmp_path: Path) -> Path:
    """The little of a stock raddb that `install` touches."""
    folder = tmp_path / "3.0"
    for name in ("mods-available", "mods-enabled", "sites-available", "sites-enabled"):
        (folder / name).mkdir(parents=True)
    for name in ("certs", "mods-config", "policy.d"):
        (folder / name).mkdir()
    (folder / "radiusd.conf").write_text("$INCLUDE clients.conf\n")
    (folder / "clients.conf").write_text("client localhost {\n\tipaddr = 127.0.0.1\n}\n")
    (folder / "dictionary").write_text("# mine\n$INCLUDE dictionary.local\n")
    (folder / "mods-available" / "smsotp").write_text("smsotp {\n}\n")
    (folder / "mods-enabled" / "pap").write_text("pap {\n}\n")
    (folder / "sites-enabled" / "default").write_text("server default {\n#\tsmsotp\n}\n")
    return folder


class TestCreate:
    def test_again_it_changes_nothing(self, made: Path) -> None:
        """Secrets and certificates neither."""
        before = snapshot(made)
        done = install.create(made, SETTINGS, SERVER, name="other.example.org")
        assert snapshot(made) == before
        assert (done.written, done.edited) == ([], [])

    def test_again_it_takes_new_options(self, made: Path) -> None:
        """Into the files that nobody has edited."""
        install.create(made, SETTINGS, SERVER, secret="two", clients=["10.0.0.0/8"], port=2812)
        assert 'secret = "two"' in (made / "clients.conf").read_text()
        assert "ipaddr = *\n\tport = 2812\n" in (made / "radiusd.conf").read_text()

    @pytest.mark.parametrize("secret", ["one", 'a"b\\', "a$b", "$ENV{NAME}", "ein Wort für alle"])
    def test_again_it_takes_new_clients_and_keeps_the_secret(self, made: Path, secret: str) -> None:
        install.create(made, SETTINGS, SERVER, secret=secret)
        before = (made / "clients.conf").read_text()
        done = install.create(made, SETTINGS, SERVER, clients=["127.0.0.0/8", "10.0.0.0/8"])
        after = (made / "clients.conf").read_text()
        assert "clients.conf" in done.written
        assert after.startswith(before)
        assert "ipaddr = 10.0.0.0/8\n" in after
        assert len(set(re.findall("secret = .*", after))) == 1

    def test_clients_that_somebody_has_edited_are_told_of(self, made: Path) -> None:
        (made / "clients.conf").write_text("client x {\n\tsecret = ${mine}\n}\n")
        done = install.create(made, SETTINGS, SERVER, clients=["10.0.0.0/8"])
        assert done.edited == ["clients.conf"]

    def test_what_somebody_has_edited_stays(self, made: Path) -> None:
        """Of the files around ours too, and it says so."""
        edited = ["clients.conf", "policy.d/smsotp", "radiusd.conf"]
        for name in edited:
            with (made / name).open("a") as file:
                file.write("# mine\n")
        done = install.create(made, SETTINGS, SERVER, secret="two", port=2812)
        assert sorted(done.edited) == edited
        assert all((made / name).read_text().endswith("# mine\n") for name in edited)

    def test_a_file_of_an_older_version_comes_to_this_one(self, made: Path) -> None:
        """Of those around ours too."""
        path = made / "mods-enabled" / "pap"
        new = path.read_text()
        path.write_text("# older\n")
        manifest = files.manifest(made) | {"mods-enabled/pap": files.digest(b"# older\n")}
        (made / files.MANIFEST).write_text(json.dumps(manifest))
        assert "mods-enabled/pap" in install.create(made, SETTINGS, SERVER).written
        assert path.read_text() == new

    def test_a_folder_of_somebody_else_is_refused(self, stock: Path) -> None:
        """And nothing in it is touched."""
        before = snapshot(stock)
        with pytest.raises(SmsotpError, match="is not empty"):
            install.create(stock, SETTINGS, SERVER)
        assert snapshot(stock) == before

    def test_a_random_secret_is_none_that_anybody_knows(self, tmp_path: Path) -> None:
        """Another one in each."""
        texts = set()
        for name in ("one", "two"):
            install.create(tmp_path / name, SETTINGS, SERVER)
            texts.add((tmp_path / name / "clients.conf").read_text())
        assert len(texts) == 2


class TestModes:
    """FreeRADIUS refuses what others may write to, and its user must get in, in any umask."""

    @pytest.fixture(params=[0, 0o002, 0o022, 0o077])
    def umask(self, request: pytest.FixtureRequest) -> Iterator[None]:
        before = os.umask(request.param)
        yield
        os.umask(before)

    def modes(self, folder: Path) -> dict[str, int]:
        """Of all below a folder."""
        paths = [path for path in folder.rglob("*") if not path.is_symlink()]
        return {str(one.relative_to(folder)): stat.S_IMODE(one.stat().st_mode) for one in paths}

    @pytest.mark.usefixtures("umask")
    def test_of_a_whole_one(self, tmp_path: Path) -> None:
        folder = tmp_path / "new" / "raddb"
        install.create(folder, SETTINGS, SERVER, name="radius.example.org")
        secret = {"certs/smsotp/ca.key", "certs/smsotp/server.key", "mods-config/smsotp/gtc"}
        public = {"certs/smsotp/ca.pem", "certs/smsotp/server.pem"}
        found = self.modes(folder)
        for name, mode in found.items():
            if (folder / name).is_dir():
                assert mode == (0o700 if name == "log/tlscache" else 0o750), name
            else:
                assert mode == (0o600 if name in secret else 0o644 if name in public else 0o640)
        assert secret | public <= found.keys()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o750

    @pytest.mark.usefixtures("umask")
    def test_of_what_is_added(self, stock: Path) -> None:
        before = self.modes(stock)
        install.install(stock, SETTINGS, SERVER, name="radius.example.org")
        added = {name: mode for name, mode in self.modes(stock).items() if name not in before}
        assert {mode for name, mode in added.items() if (stock / name).is_dir()} == {0o750}
        assert set(added.values()) == {0o600, 0o640, 0o644, 0o750}
        assert self.modes(stock).items() >= before.items()


class TestUpgrade:
    def test_what_a_device_may_say_comes_to_one_that_is_there(self, stock: Path) -> None:
        """All of it at once, and an edited list stays."""
        install.install(stock, SETTINGS, SERVER, name="radius.example.org")
        names = (
            files.TUNNEL,
            "mods-available/attr_filter_smsotp",
            "mods-enabled/attr_filter_smsotp",
        )
        for name in names:
            (stock / name).unlink()
        done = install.install(stock, SETTINGS, SERVER, name="radius.example.org")
        assert set(names) <= set(done.written)
        with (stock / files.TUNNEL).open("a") as file:
            file.write("# mine\n")
        assert install.install(stock, SETTINGS, SERVER).edited == [files.TUNNEL]
        assert files.TUNNEL in raddb_removal.uninstall(stock).kept


class TestInstances:
    """Beside the first one: what fits the store, and this version of FreeRADIUS."""

    def enabled(self, folder: Path) -> set[str]:
        """Those that FreeRADIUS would read."""
        return {name for name in files.INSTANCE_LINKS if (folder / name).exists()}

    @pytest.mark.parametrize("whole", [True, False])
    def test_they_follow_a_store_that_moves(self, stock: Path, made: Path, whole: bool) -> None:
        """There and back; and a FreeRADIUS that is older than before."""
        older = FreeRadius(SERVER.program, (3, 2, 6))
        for server, database, links in (
            (SERVER, True, {*files.DELIVERY_LINKS, *files.POOL_LINKS}),
            (SERVER, False, {*files.DELIVERY_LINKS, *files.DISK_LINKS}),
            (SERVER, True, {*files.DELIVERY_LINKS, *files.POOL_LINKS}),
            (older, True, set()),
        ):
            folder = made if whole else stock
            before = self.enabled(folder)
            work = install.create if whole else install.install
            done = work(folder, SETTINGS, server, name="radius.example.org", database=database)
            assert self.enabled(folder) == links
            assert set(done.removed) == before - links
        # Ours is not what somebody else has put there.
        (folder / files.POOL_LINKS[1]).write_text("mine\n")
        install.install(folder, SETTINGS, SERVER)
        assert (folder / files.POOL_LINKS[1]).read_text() == "mine\n"


class TestWorkers:
    """What earlier versions made for several processes becomes one."""

    NAMES = ("worker.conf", "worker1.conf", "worker2.conf", "workers.conf", "worker-clients.conf")

    @pytest.fixture
    def several(self, made: Path) -> Path:
        """As `create --workers 2` left it."""
        manifest = files.manifest(made)
        for name in ("radiusd.conf", *self.NAMES):
            text = f"# {name} of several\n"
            (made / name).write_text(text)
            manifest[name] = files.digest(text.encode())
        text = json.dumps(manifest, indent=1, sort_keys=True)
        (made / files.MANIFEST).write_text(f"{text}\n")
        (made / files.WORKERS_SECRET).write_text('smsotp_worker_secret = "x"\n')
        gtc = made / files.GTC
        gtc.write_text(gtc.read_text().replace("= 11812", "= ${smsotp_worker_gtc_port}"))
        (made / "workerbee.conf").write_text("mine\n")
        return made

    def test_create_makes_one_process_of_them(self, several: Path) -> None:
        """The secret of the tunnels stays; what somebody has edited, or added, stays without
        effect."""
        with (several / "worker2.conf").open("a") as file:
            file.write("# mine\n")
        secret = (several / files.GTC).read_text().splitlines()[1]
        done = install.create(several, SETTINGS, SERVER, gtc_port=2813)
        gone = {*self.NAMES, files.WORKERS_SECRET} - {"worker2.conf"}
        assert set(done.removed) == gone
        assert done.edited == ["worker2.conf"]
        assert not any((several / name).exists() for name in gone)
        assert (several / "workerbee.conf").exists()
        assert (several / files.GTC).read_text() == f"smsotp_gtc_port = 2813\n{secret}\n"
        assert stat.S_IMODE((several / files.GTC).stat().st_mode) == 0o600
        assert "virtual_server = smsotp\n" in (several / "radiusd.conf").read_text()
        assert install.create(several, SETTINGS, SERVER).removed == []

    def test_nothing_else_touches_them(self, several: Path) -> None:
        """And it says what does."""
        before = snapshot(several)
        with pytest.raises(SmsotpError, match=f"'smsotp raddb create {several}', with its"):
            install.install(several, SETTINGS, SERVER)
        assert snapshot(several) == before

    def test_an_edited_front_stops_it(self, several: Path) -> None:
        """Whoever has edited it wants that in the new file."""
        with (several / "radiusd.conf").open("a") as file:
            file.write("# mine\n")
        before = snapshot(several)
        with pytest.raises(SmsotpError, match=r"move it away, and run this again; nothing was"):
            install.create(several, SETTINGS, SERVER)
        assert snapshot(several) == before
        (several / "radiusd.conf").rename(several / "radiusd.conf.mine")
        assert "workers.conf" in install.create(several, SETTINGS, SERVER).removed


class TestOldPolicy:
    def test_an_edited_one_that_lacks_what_is_called_stops_an_upgrade(self, made: Path) -> None:
        """FreeRADIUS would not start any more.  Nothing is changed, until the two are merged."""
        policy = made / "policy.d" / "smsotp"
        new = policy.read_text()
        policy.write_text(new.replace("smsotp_authenticate {", "smsotp_other {"))
        (made / "sites-available" / "smsotp").unlink()
        before = snapshot(made)
        with pytest.raises(SmsotpError, match="lacks smsotp_authenticate; put your"):
            install.install(made, SETTINGS, SERVER)
        with pytest.raises(SmsotpError, match="nothing was changed"):
            install.create(made, SETTINGS, SERVER, port=2812)
        assert snapshot(made) == before
        policy.write_text(new + "# mine\n")
        done = install.install(made, SETTINGS, SERVER)
        assert "sites-available/smsotp" in done.written
        assert done.edited == ["policy.d/smsotp"]

    def test_an_edited_first_factor_without_the_blocks_that_came_later(self, made: Path) -> None:
        policy = made / "policy.d" / "smsotp_first_factor"
        new = policy.read_text()
        policy.write_text(new.partition("smsotp_session {")[0])
        before = snapshot(made)
        with pytest.raises(SmsotpError, match="lacks smsotp_beside, smsotp_session; put your"):
            install.install(made, SETTINGS, SERVER)
        assert snapshot(made) == before
        policy.write_text(f"{new}# mine\n")
        assert install.install(made, SETTINGS, SERVER).edited == ["policy.d/smsotp_first_factor"]


class TestClients:
    @pytest.mark.parametrize(
        ("clients", "places"),
        [
            (["127.0.0.0/8"], ["ipaddr = 127.0.0.1"]),
            (["::1"], ["ipv6addr = ::1"]),
            (["10.0.0.0/8"], ["ipaddr = *"]),
            (["127.0.0.1", "192.0.2.1"], ["ipaddr = *"]),
            (["127.0.0.1", "2001:db8::/32"], ["ipaddr = 127.0.0.1", "ipv6addr = ::"]),
        ],
    )
    def test_it_listens_where_clients_can_be(self, clients: list[str], places: list[str]) -> None:
        found = raddb_clients.listen([], raddb_clients.networks(clients), {"auth": 1812})
        assert [line.strip() for line in found.splitlines() if "addr" in line] == places

    def test_it_listens_where_it_is_told_to(self) -> None:
        networks = raddb_clients.networks(["127.0.0.1"])
        found = raddb_clients.listen(
            ["192.0.2.5", "::", "*", "*"], networks, {"auth": 1645, "acct": 1646}
        )
        assert found.count("listen {") == 6
        for kind, port in (("auth", 1645), ("acct", 1646)):
            assert found.count(f"type = {kind}") == found.count(f"port = {port}") == 3
        assert "ipaddr = *" in found
        with pytest.raises(ValueError, match="not-an-address"):
            raddb_clients.listen(["not-an-address"], networks, {"auth": 1812})

    def test_each_network_is_a_client_of_its_own(self) -> None:
        """Under its address, by which ``clients`` in the settings may name it."""
        networks = raddb_clients.networks(["127.0.0.1", "10.1.2.3/16", "10.1.0.0/16", "::1"])
        text = raddb_clients.text(networks, 'a "b" \\c', auto=True)
        assert len(re.findall("(?m)^client ", text)) == 3
        assert "client 10.1.0.0/16 {\n\tipaddr = 10.1.0.0/16\n" in text
        assert text.count('secret = "a \\"b\\" \\\\c"') == 3

    @pytest.mark.parametrize("auto", [False, True])
    def test_one_device_is_found_out_about_and_a_network_is_told(self, auto: bool) -> None:
        """In a network, the first to ask would decide for all; so on this machine."""
        alone = {"192.0.2.1": "auto" if auto else "no", "2001:db8::1": "auto" if auto else "no"}
        shared = dict.fromkeys(("127.0.0.1", "::1", "10.0.0.0/8", "2001:db8::/64"), "no")
        for address, expected in (alone | shared).items():
            text = raddb_clients.text(raddb_clients.networks([address]), "x", auto=auto)
            assert f"\trequire_message_authenticator = {expected}\n}}\n" in text
            assert "\tlimit_proxy_state = yes\n" in text

    @pytest.mark.parametrize("client", ["192.0.2.1", "0.0.0.0/0", "127.0.0.0/7", "2001:db8::/64"])
    def test_a_secret_that_everybody_knows_is_for_this_machine(
        self, client: str, tmp_path: Path
    ) -> None:
        """Also if it stands in the file from before."""
        made = tmp_path / "raddb"
        options = {"secret": "testing123", "name": "radius.example.org"}
        install.create(made, SETTINGS, SERVER, clients=["127.0.0.1", "::1"], **options)  # type: ignore[arg-type]
        before = snapshot(made)
        for secret in ("testing123", None):
            with pytest.raises(ValueError, match=r"everybody knows the secret.*--secret"):
                install.create(made, SETTINGS, SERVER, clients=["127.0.0.1", client], secret=secret)
        assert snapshot(made) == before
        install.create(made, SETTINGS, SERVER, clients=[client], secret="another")

    def test_a_secret_of_the_environment_is_none_of_the_file(self) -> None:
        """Without quotes FreeRADIUS takes the value as it is."""
        networks = raddb_clients.networks(["127.0.0.1"])
        assert "\tsecret = $ENV{X}\n" in raddb_clients.text(networks, "$ENV{X}", auto=False)


class TestUninstall:
    @pytest.mark.parametrize("database", [False, True])
    def test_it_leaves_the_raddb_as_it_was(self, stock: Path, database: bool) -> None:
        """To the last octet, with --purge: certificates go as well."""
        before = snapshot(stock)
        install.install(stock, SETTINGS, SERVER, name="radius.example.org", database=database)
        assert snapshot(stock) != before
        removal = raddb_removal.uninstall(stock, purge=True)
        assert snapshot(stock) == before
        assert removal.kept == []

    def test_what_cannot_be_made_again_stays_without_effect(self, stock: Path) -> None:
        """An edited file, and the authority that devices trust; the next install takes them."""
        install.install(stock, SETTINGS, SERVER, name="radius.example.org")
        policy = stock / "policy.d" / "smsotp"
        policy.write_text(policy.read_text() + "# mine\n")
        authority = (stock / "certs" / "smsotp" / "ca.pem").read_bytes()
        removal = raddb_removal.uninstall(stock)
        assert "policy.d/smsotp" in removal.kept
        assert not list(stock.glob("*-enabled/*smsotp*"))
        done = install.install(stock, SETTINGS, SERVER, name="radius.example.org")
        assert done.edited == ["policy.d/smsotp"]
        assert (stock / "certs" / "smsotp" / "ca.pem").read_bytes() == authority

    @pytest.mark.parametrize(
        ("name", "line"),
        [
            ("clients.conf", "\tvirtual_server = smsotp"),
            ("sites-enabled/default", "\tsmsotp_authorize"),
            ("sites-enabled/default", "\t\t-smsotp_eap"),
        ],
    )
    def test_it_refuses_as_long_as_something_needs_ours(
        self, stock: Path, name: str, line: str
    ) -> None:
        """FreeRADIUS would not start any more.  It names file and line; nothing is removed."""
        install.install(stock, SETTINGS, SERVER, name="radius.example.org")
        with (stock / name).open("a") as file:
            file.write(f"{line}\n")
        before = snapshot(stock)
        number = len((stock / name).read_text().splitlines())
        with pytest.raises(SmsotpError, match=rf"{name}, line {number}: '{line.strip()}'"):
            raddb_removal.uninstall(stock)
        assert snapshot(stock) == before

    def test_a_raddb_of_ours_is_removed_as_a_whole(self, made: Path) -> None:
        with pytest.raises(SmsotpError, match="remove the folder"):
            raddb_removal.uninstall(made)

    def test_where_there_is_nothing_of_ours_nothing_happens(self, stock: Path) -> None:
        before = snapshot(stock)
        assert raddb_removal.uninstall(stock).removed == []
        assert snapshot(stock) == before
        with pytest.raises(SmsotpError, match="name a raddb"):
            raddb_removal.uninstall(stock / "nowhere")
