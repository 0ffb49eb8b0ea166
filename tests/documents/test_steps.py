"""Policy, dictionary, hooks and documents name the same steps and attributes."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import radius_smsotp
from radius_smsotp.login.request import STEPS, Step
from radius_smsotp.radius.packets import ATTRIBUTES
from tests.documents import pages, unlang

PACKAGE = Path(radius_smsotp.__file__).parent
OURS = re.compile(r"SMSOTP-[\w-]*\w|Tmp-Octets-[0-4]\b")
SETS, READS = unlang.uses()


def words(path: str) -> set[str]:
    """Every string in a module of the package, but for those of the table itself."""
    tree = ast.parse((PACKAGE / path).read_text("utf-8"))
    tables = [
        node
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_ROWS"
    ]
    inside = {id(node) for table in tables for node in ast.walk(table)}
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside
    }


def test_a_step_has_a_row() -> None:
    assert list(STEPS) == list(Step)


@pytest.mark.parametrize("step", Step)
def test_the_policy_sets_a_step_where_the_table_says(step: Step) -> None:
    found = {one.section for one in SETS if (one.name, one.value) == ("SMSOTP-Step", step.value)}
    assert found == set(STEPS[step].set_in.split()) - {"hook"}


def test_the_policy_knows_no_step_that_python_does_not_know() -> None:
    named = re.findall(r'SMSOTP-Step (?::=|==|!=) "([^"]*)"', unlang.text())
    assert len(named) > 5
    assert set(named) <= {step.value for step in Step}


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_an_attribute_is_set_and_read_by_whom_the_table_says(name: str) -> None:
    one = ATTRIBUTES[name]
    places = {use.place for use in SETS | READS if use.name == name}
    assert places <= {one.place}
    policy = [any(use.name == name for use in uses) for uses in (SETS, READS)]
    assert policy == ["policy" in one.set_by.split(), "policy" in one.read_by.split()]
    hook = [name in words(path) for path in ("hooks.py", "radius/packets.py")]
    assert hook == ["hook" in one.set_by.split(), "hook" in one.read_by.split()]
    assert one.set_by
    assert one.read_by


def test_the_dictionary_holds_all_of_ours_and_no_others() -> None:
    text = (unlang.RADDB / "dictionary.smsotp").read_text("utf-8")
    named = re.findall(r"^ATTRIBUTE\s+(\S+)", text, re.MULTILINE)
    assert sorted(named) == sorted(name for name in ATTRIBUTES if name.startswith("SMSOTP-"))


def test_nobody_names_an_attribute_of_ours_that_the_table_does_not_know() -> None:
    """FreeRADIUS would not start, or a hook look for what nobody sets."""
    for path in unlang.RADDB.rglob("*"):
        if path.is_file() and path.name != "dictionary.smsotp":
            assert set(OURS.findall(path.read_text("utf-8"))) <= set(ATTRIBUTES), path
    for path in ("hooks.py", "radius/packets.py"):
        assert {word for word in words(path) if OURS.fullmatch(word)} <= set(ATTRIBUTES)


def test_no_use_in_the_policy_is_overlooked() -> None:
    """What reads unlang here knows every form in which an attribute of ours is written there."""
    removed = set(re.findall(rf"&({OURS.pattern}) !\* ANY", unlang.text()))
    seen = {use.name for use in SETS | READS}
    assert set(OURS.findall(unlang.text())) <= seen | removed


def test_the_picture_shows_every_step_and_what_it_leads_to() -> None:
    picture = (
        pages.section("Steps of a login").partition("text\n\n")[2].partition("\n\nA Challenge")[0]
    )
    shown = set(re.findall(r"-- ([a-z-]+\w) -", picture)) - {"right", "wrong"}
    assert shown == {step.value for step in Step}
    led = set(re.findall(r"-> ([a-z_]+) -", picture))
    assert led == {name for one in STEPS.values() for name in (one.right, one.wrong)} - {""}
