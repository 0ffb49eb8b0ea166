"""``smsotp check`` names each way that leads past the code, and none where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from radius_smsotp.cli.check import ways
from radius_smsotp.raddb import files

if TYPE_CHECKING:
    from pathlib import Path

SITE = """server default {
authorize {
	suffix
	eap {
		ok = return
	}
	digest
	files
	smsotp_authorize   # ours
}
authenticate {
	Auth-Type smsotp {
		smsotp_authenticate
	}
	digest
	eap
}
post-auth {
	@ADMIT@
	Post-Auth-Type REJECT {
		smsotp_post_auth
	}
	Post-Auth-Type Challenge {
	}
}
}
"""
MODULES = {
    "eap": "eap {\n\tmd5 {\n\t}\n\tpeap {\n\t\tvirtual_server = inner\n\t}\n}\n",
    "digest": "digest {\n}\n",
    "realm": "realm suffix {\n\tformat = suffix\n}\nrealm other {\n}\n",
    "files": "files {\n\tmoddir = ${modconfdir}/${.:instance}\n"
    "\tfilename = ${moddir}/authorize\n}\n",
    "chap": "chap {\n}\n",
}
PAST = " leads past the code"


@pytest.fixture
def raddb(tmp_path: Path) -> Path:
    """What matters of a raddb, with `smsotp_admit`."""
    for name in ("policy.d", "sites-enabled", "mods-enabled", "mods-config/files"):
        (tmp_path / name).mkdir(parents=True)
    for name in (files.POLICY, files.FIRST_FACTOR):
        (tmp_path / name).write_text(files.source(name).read_text())
    for name, text in MODULES.items():
        (tmp_path / "mods-enabled" / name).write_text(text)
    users = "# DEFAULT Auth-Type := Accept\nbob\tAuth-Type := Accept\n"
    (tmp_path / "mods-config" / "files" / "authorize").write_text(users)
    (tmp_path / "proxy.conf").write_text(
        "realm example.com {\n\tauth_pool = theirs\n}\nrealm LOCAL {\n}\n"
    )
    put(tmp_path, SITE.replace("@ADMIT@", "smsotp_admit"))
    return tmp_path


def put(raddb: Path, text: str) -> None:
    """The only site."""
    (raddb / "sites-enabled" / "default").write_text(text)


def told(raddb: Path) -> list[str]:
    """The faults, all of them errors."""
    found = list(ways.findings(raddb))
    assert all(one.level == "error" and one.remedy and one.why for one in found)
    return [one.fault for one in found]


def test_none_where_ours_stands_before_all(raddb: Path) -> None:
    assert told(raddb) == []


def test_none_where_ours_is_not_called(raddb: Path) -> None:
    put(raddb, SITE.replace("smsotp_authorize", "#smsotp_authorize").replace("@ADMIT@", ""))
    assert told(raddb) == []


def test_each_where_it_does_not(raddb: Path) -> None:
    put(raddb, SITE.replace("@ADMIT@", "# smsotp_admit"))
    users = raddb / "mods-config" / "files" / "authorize"
    assert told(raddb) == [
        "calls smsotp_authorize, but not smsotp_admit",
        f"realm example.com, which another server answers for (module suffix){PAST}",
        f"EAP-MD5 (module eap){PAST}",
        f"PEAP (module eap){PAST}",
        f"Digest (module digest){PAST}",
        f"Auth-Type := Accept ({users}, line 2){PAST}",
    ]


@pytest.mark.parametrize(
    ("module", "text", "way"),
    [
        ("eap", "eap {\n\ttls {\n\t}\n}\n", "EAP-TLS (module eap)"),
        ("eap", "eap {\n\tttls {\n\t}\n}\n", "EAP-TTLS (module eap)"),
        ("eap", "eap {\n\tpwd {\n\t}\n}\n", "EAP-PWD (module eap)"),
        ("eap", "eap {\n\tmschapv2 {\n\t}\n}\n", "EAP-MSCHAPv2 (module eap)"),
        ("eap", "eap {\n}\n", ""),
        ("digest", "", ""),
    ],
)
def test_only_those_that_there_are(raddb: Path, module: str, text: str, way: str) -> None:
    put(raddb, SITE.replace("@ADMIT@", ""))
    (raddb / "mods-enabled" / module).write_text(text)
    found = [one for one in told(raddb) if "(module" in one]
    assert (f"{way}{PAST}" in found) is bool(way)
    named = "Digest" if module == "digest" else "(module eap)"
    assert sum(named in one for one in found) == bool(way)


def test_unlang_that_says_accept(raddb: Path) -> None:
    accept = "files\n\tupdate control {\n\t\t&Auth-Type := Accept\n\t}"
    put(raddb, SITE.replace("\tfiles", f"\t{accept}").replace("@ADMIT@", ""))
    assert f"Auth-Type := Accept (line 10){PAST}" in told(raddb)
    put(raddb, SITE.replace("\tfiles", f"\t{accept}").replace("@ADMIT@", "smsotp_admit"))
    assert told(raddb) == []


def test_ours_called_by_a_policy_of_the_site(raddb: Path) -> None:
    (raddb / "policy.d" / "mine").write_text(
        "second {\n\tif (&NAS-Port) {\n\t\tsmsotp_authorize\n\t}\n}\n"
    )
    put(raddb, SITE.replace("smsotp_authorize", "second").replace("@ADMIT@", ""))
    assert told(raddb)[0] == "calls smsotp_authorize, but not smsotp_admit"


@pytest.mark.parametrize("same", [True, False])
def test_ours_called_under_a_condition(raddb: Path, same: bool) -> None:
    other = "if (&NAS-Port) {" if same else "if (&NAS-Identifier) {"
    text = SITE.replace("\tsmsotp_authorize", "\tif (&NAS-Port) {\n\tsmsotp_authorize\n\t}")
    put(raddb, text.replace("@ADMIT@", f"{other}\n\tsmsotp_admit\n\t}}"))
    assert (told(raddb) == []) is same


def test_another_section_in_the_place_of_post_auth(raddb: Path) -> None:
    text = SITE.replace("@ADMIT@", "smsotp_admit\n\tPost-Auth-Type Own {\n\t\t@OWN@\n\t}")
    put(raddb, text.replace("@OWN@", "ok"))
    assert told(raddb) == ["Post-Auth-Type Own takes the place of post-auth, without smsotp_admit"]
    put(raddb, text.replace("@OWN@", "smsotp_admit"))
    assert told(raddb) == []


def test_wrong_pins_that_nobody_counts(raddb: Path) -> None:
    put(raddb, SITE.replace("@ADMIT@", "smsotp_admit").replace("smsotp_post_auth", "ok"))
    assert told(raddb) == ["calls smsotp_authorize, but not smsotp_post_auth"]


def test_methods_beside_the_tunnel_to_a_server_that_calls_ours(raddb: Path) -> None:
    inner = SITE.replace("default", "inner").replace("@ADMIT@", "smsotp_admit")
    (raddb / "sites-enabled" / "inner").write_text(inner.replace("\tdigest\n\teap\n", ""))
    put(raddb, "server default {\nauthorize {\n\teap\n}\n}\n")
    assert told(raddb) == [f"EAP-MD5 (module eap){PAST}"]
    text = MODULES["eap"].replace("\tmd5 {\n\t}\n", "")
    (raddb / "mods-enabled" / "eap").write_text(text)
    assert told(raddb) == []


@pytest.mark.parametrize(
    ("added", "way"),
    [
        ("\n\tmd5 {\n\t}\n", "EAP-MD5"),
        ("\n\ttls {\n\t\ttls = smsotp\n\t}\n", "EAP-TLS"),
        ("", ""),
    ],
)
def test_methods_added_to_our_own(raddb: Path, added: str, way: str) -> None:
    text = files.source("mods-available/eap_smsotp").read_text()
    first = text.replace("\tpeap {", f"{added}\tpeap {{", 1)
    (raddb / "mods-enabled" / "eap_smsotp").write_text(first)
    assert told(raddb) == ([f"{way} (module smsotp_eap){PAST}"] if way else [])


def test_a_tunnel_of_ours_that_leads_elsewhere(raddb: Path) -> None:
    text = files.source("mods-available/eap_smsotp").read_text()
    led = text.replace("virtual_server = smsotp-inner-tunnel", "virtual_server = inner-tunnel", 1)
    (raddb / "mods-enabled" / "eap_smsotp").write_text(led)
    assert told(raddb) == [f"PEAP (module smsotp_eap){PAST}"]


def test_what_is_said_on_purpose_is_a_warning(raddb: Path) -> None:
    policy = raddb / files.FIRST_FACTOR
    policy.write_text(policy.read_text().replace("smsotp_beside {", "smsotp_beside {\n\tok"))
    eap = files.source("mods-available/eap_smsotp").read_text()
    (raddb / "mods-enabled" / "eap_smsotp").write_text(eap.replace("enable = no", "enable = yes"))
    assert [(one.level, one.fault) for one in ways.findings(raddb)] == [
        ("warning", "TLS sessions are resumed (module smsotp_eap), without PIN and code"),
        ("warning", "smsotp_beside lets in what it names"),
    ]


def test_our_own_sites_lead_nowhere_else(raddb: Path) -> None:
    for name in ("smsotp", "smsotp-gtc", "smsotp-inner-tunnel"):
        text = files.source(f"sites-available/{name}").read_text()
        (raddb / "sites-enabled" / name).write_text(text)
    assert told(raddb) == []
    # One that was edited before there was such a call.
    (raddb / "sites-enabled" / "smsotp").write_text(
        files.source("sites-available/smsotp").read_text().replace("\t\tsmsotp_admit\n", "")
    )
    assert told(raddb) == ["calls smsotp_authorize, but not smsotp_admit"]


def test_sites_of_a_tunnel_that_were_edited_before_they_called_what_guards_it(raddb: Path) -> None:
    for name, call in (("smsotp", "smsotp_conversation"), ("smsotp-inner-tunnel", "smsotp_inner")):
        text = files.source(f"sites-available/{name}").read_text()
        (raddb / "sites-enabled" / name).write_text(text.replace(f"{call}\n", "\n"))
    assert told(raddb) == [
        "calls smsotp_eap, but not smsotp_conversation before it",
        "does not call smsotp_inner: what a device says goes on as it is",
    ]


SMSOTP = "server smsotp {\nauthorize {\nsmsotp_authorize\n}\n}\n"
STOCK = "server stock {\nlisten {\n\ttype = %s\n\tipaddr = %s\n}\nauthorize {\npap\n}\n}\n"
BRANCH = "client branch {\n\tipaddr = 192.0.2.0/24\n}\n"


@pytest.mark.parametrize(
    ("site", "clients", "named"),
    [
        (SMSOTP + STOCK % ("auth", "*"), BRANCH, ["branch"]),
        (SMSOTP + STOCK % ("auth+acct", "192.0.2.9"), BRANCH * 6, ["branch, branch"]),
        (SMSOTP + STOCK % ("auth", "*"), "client localhost {\n\tipaddr = 127.0.0.1\n}\n", []),
        (
            SMSOTP + STOCK % ("auth", "*"),
            BRANCH.replace("\n}", "\n\tvirtual_server = smsotp\n}"),
            [],
        ),
        (SMSOTP + STOCK % ("auth", "127.0.0.1"), BRANCH, []),
        (SMSOTP + STOCK % ("acct", "*"), BRANCH, []),
        (SMSOTP + STOCK % ("auth", "*\n\tclients = guests"), BRANCH, []),
        (SMSOTP + STOCK.replace("pap", "smsotp_eap") % ("auth", "*"), BRANCH, []),
        (STOCK % ("auth", "*"), BRANCH, []),  # nothing is ours: that is said elsewhere
        (SMSOTP, BRANCH, []),
    ],
)
def test_whose_logins_never_get_to_us_is_noted(
    raddb: Path, site: str, clients: str, named: list[str]
) -> None:
    """It may be meant so: a pilot group, machines."""
    (raddb / "sites-enabled" / "default").unlink()
    (raddb / "sites-enabled" / "more").write_text(site)
    (raddb / "clients.conf").write_text(clients)
    (raddb / "radiusd.conf").write_text("$INCLUDE clients.conf\n$INCLUDE sites-enabled/\n")
    found = [one for one in ways.findings(raddb) if one.level == "note"]
    assert [one.fault.partition(" needs")[0] for one in found] == [
        f"whoever logs in from {names}" + (", branch, branch, branch, …" if "," in names else "")
        for names in named
    ]
    assert all("virtual_server = smsotp" in one.remedy for one in found)


@pytest.mark.parametrize(
    ("policy", "passes"),
    [
        ("ok", True),
        ("update control {\n&Tmp-String-0 := x\n}\nok", False),
        ("noop\nok", True),
        ("pap", False),
        ("reject", False),
        ("if (&LDAP-Group == staff) {\nok\n}\nelse {\nreject\n}", False),
        ("ldap\nok", False),
        ("# ok\npap", False),
        ("", False),
    ],
)
def test_a_first_factor_that_is_none_is_named(raddb: Path, policy: str, passes: bool) -> None:
    path = raddb / files.FIRST_FACTOR
    path.write_text(f"smsotp_first_factor {{\n{policy}\n}}\n")
    told = "smsotp_first_factor lets every password pass"
    found = [one for one in ways.findings(raddb) if one.fault == told]
    assert [(one.level, one.path) for one in found] == [("warning", str(path))] * passes
