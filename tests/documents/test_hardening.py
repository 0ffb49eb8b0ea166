"""Each row of the page on hardening has something that proves it: a row that has nothing fails."""

from __future__ import annotations

import ast
import re

import click
import pytest

from tests.documents import pages
from tests.documents.pages import TOP
from tests.documents.test_docs import COMMANDS
from tests.documents.test_units import EXPOSURE

TITLE = "A server that gives little away"

PROVED = {
    "files": (
        "cli/test_init.py::test_settings_key_and_store_stand_in_the_folder",
        "settings/test_keyring.py::test_a_file_that_others_may_use_is_refused",
        "store/test_sqlite.py::test_a_file_that_is_open_to_everybody_is_refused",
        "cli/check/test_command.py::test_settings_that_everybody_can_read",
    ),
    "secrets in the settings": (
        "settings/test_references.py"
        "::test_a_secret_stands_in_a_file_the_environment_or_a_credential",
    ),
    "processes of our own": (
        "documents/test_units.py::test_it_leaves_few_rights",
        "documents/test_units.py::test_it_runs_as_who_freeradius_runs_as",
    ),
    "RADIUS on the wire": (
        "freeradius/test_blastradius.py::test_goes_to_who_does_not_sign_too",
        "freeradius/test_blastradius.py::test_signatures_can_be_demanded_of_every_request",
    ),
    "gateways": ("providers/test_weaknesses.py::test_what_others_can_read_or_pretend_on_the_way",),
    "PostgreSQL": ("store/test_postgres_access.py::test_a_way_on_which_others_can_read_is_told",),
    "where codes may go": ("model/test_phone.py::test_messages_go_to_allowed_countries_only",),
    "exporter, receiver": ("documents/test_hardening.py::test_what_listens_does_so_for_this_host",),
    "what others could do with each thing": (),  # a page
    "known faults of libraries": ("package/test_constraints.py::test_a_shell_can_read_the_audit",),
}
"""What is hardened to the tests that see to it."""


def rows() -> dict[str, str]:
    """The table, but for its titles."""
    found = re.findall(
        r"(?m)^   \* - (.+)\n     - ((?:.+\n)(?:       .+\n)*)", pages.section(TITLE)
    )
    return {what: " ".join(how.split()) for what, how in found[1:]}


def test_every_row_is_proved_by_tests_that_are_there() -> None:
    assert rows().keys() == PROVED.keys()
    for place in [one for many in PROVED.values() for one in many]:
        path, _, name = place.partition("::")
        tree = ast.parse((TOP / "tests" / path).read_text("utf-8"))
        known = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert name in known, place


def test_what_is_said_of_the_units_is_what_a_test_asks_for() -> None:
    assert f"at most {EXPOSURE / 10:g} of 10" in rows()["processes of our own"]


@pytest.mark.parametrize("name", ["exporter", "receiver"])
def test_what_listens_does_so_for_this_host(name: str) -> None:
    """Unless it is told otherwise."""
    [listen] = [one for one in COMMANDS[name,].params if one.name == "listen"]
    assert isinstance(listen, click.Option)
    assert str(listen.default).startswith("127.0.0.1:")
