"""The store in a PostgreSQL database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.store.contract import StoreContract
from tests.store.contract_crowd import CrowdContract
from tests.store.contract_records import RecordsContract

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.store.postgres_server import PostgresServer


class TestContract(StoreContract, RecordsContract, CrowdContract):
    HASTE = 1.0

    @pytest.fixture
    def make_url(self, postgres_server: PostgresServer) -> Callable[[], str]:
        return postgres_server.make_url
