"""A cluster loses its primary under load; long form: tests/measure/cluster.sh."""

from __future__ import annotations

from radius_smsotp.settings.schema import TextSettings
from radius_smsotp.store.postgres.pool import CONNECTIONS
from tests.measure.cluster.__main__ import QUICK_RATE
from tests.measure.cluster.faults import QUICK
from tests.measure.cluster.rounds import SETTLED, made


def test_a_cluster_that_loses_its_primary_lets_nobody_in_twice() -> None:
    """Both servers find the next one by themselves, and what was spent stays spent."""
    with made(QUICK) as one:
        result = one.run(before=0, rate=QUICK_RATE)
    assert result.logins - result.failed >= 2 * SETTLED
    assert result.twice_here == result.twice_elsewhere == result.marks_lost == 0
    # As many as the documents say: those in use, and those that are just being given up.
    assert 0 < result.backends <= 2 * 2 * CONNECTIONS
    # It was an outage, and clients were silently sent to the other server.  A challenge of the last
    # moment is lost with the primary: no login waits for standbys to have it.
    refused = {why for why in result.failures if "Access-Reject" in why}
    assert refused <= {f"second step: Access-Reject {TextSettings().start_again}"}, result.failures
