"""
The tutorial, played on a machine that has only the program: each step shows what its page shows.

The lines that install, which come before, are those of `tests/package/test_install.py`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.documents import pages
from tests.documents.test_week import OUTBOX, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.server


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server({})
    try:
        yield one
    finally:
        one.machine.close()


def test_each_step_shows_what_its_page_says(server: Server) -> None:
    server.play(pages.typed("What it says to that"))
    assert not re.findall(r"(?m)^error", server.machine.do("smsotp check"))
    server.play(pages.typed("What they show"))
    server.play(pages.typed("What a test message shows"))
    assert len(server.machine.do(f"ls {OUTBOX}").split()) == 2
