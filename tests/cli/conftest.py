"""An installation for each test that wants one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.installation import Installation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Installation]:
    """An installation without accounts."""
    one = Installation(tmp_path / "site")
    yield one
    one.close()
