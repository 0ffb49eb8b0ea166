"""All that a store promises, in one suite."""

from __future__ import annotations

from tests.store.contract import StoreContract
from tests.store.contract_crowd import CrowdContract
from tests.store.contract_figures import FiguresContract
from tests.store.contract_logins import LoginsContract
from tests.store.contract_people import PeopleContract
from tests.store.contract_records import RecordsContract
from tests.store.contract_trail import CeilingContract, TrailContract


class WholeContract(
    StoreContract,
    RecordsContract,
    PeopleContract,
    LoginsContract,
    CrowdContract,
    FiguresContract,
    TrailContract,
    CeilingContract,
):
    """For every back end, which gives the fixture `make_url`."""
