"""What fails in the suite says why, as in a test module."""

import pytest

pytest.register_assert_rewrite("radius_smsotp.providers.contract")
