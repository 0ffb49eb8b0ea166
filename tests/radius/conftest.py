"""The hooks, imported beside a `radiusd` that stands in for FreeRADIUS's."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.radius import process
from tests.radius.stand_ins import Monotonic, Server, make
from tests.support.radiusd import Radiusd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.site import Node, Site


@pytest.fixture(scope="module")
def loaded() -> Iterator[tuple[Any, Radiusd]]:
    """The module, and the `radiusd` that it has imported."""
    provided = Radiusd("from radiusd.yaml")
    path = list(sys.path)
    yield provided.load(), provided
    sys.path[:] = path
    for name in ("radiusd", "radius_smsotp.hooks"):
        del sys.modules[name]


@pytest.fixture
def module(loaded: tuple[Any, Radiusd], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module; what `instantiate` changes of this process is as before afterwards."""
    logger = logging.getLogger("radius_smsotp")
    before = logger.handlers, logger.propagate, logger.level, logging.raiseExceptions
    switch = sys.getswitchinterval()
    monkeypatch.setattr(process, "limit", lambda: None)
    loaded[1].logged.clear()
    yield loaded[0]
    sys.setswitchinterval(switch)
    logger.handlers, logger.propagate, level, logging.raiseExceptions = before
    logger.setLevel(level)


@pytest.fixture
def logged(loaded: tuple[Any, Radiusd]) -> list[str]:
    """FreeRADIUS's log."""
    return loaded[1].logged


@pytest.fixture
def server() -> Server:
    """A server of stand-ins."""
    return Server()


@pytest.fixture
def passing() -> Monotonic:
    """A clock that stands still."""
    return Monotonic()


@pytest.fixture
def hooks(module: Any, server: Server, passing: Monotonic) -> Any:
    """Hooks on the stand-ins."""
    return make(module, server, clock=passing)


@pytest.fixture
def live(module: Any, site: Site, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Node]:
    """Hooks on a real service and store, with alice and bob in it."""
    node = site.node()
    for name in ("start", "require_store"):
        monkeypatch.setattr(type(node), name, lambda _: None, raising=False)
    monkeypatch.setattr(type(node), "has_others", False, raising=False)
    return make(module, node), node
