"""No number that a person reads is a zero with a sign."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sluice.gates.finding import format_figure
from sluice.report.verdict_table import format_number
from sluice.rollout.log import reword_reason
from sluice.rounding import write_fixed

SIGNED_ZERO = re.compile(r"-0?\.?0*$")
NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)


@given(value=NUMBERS, decimals=st.integers(0, 4))
@example(value=-0.0, decimals=1)
@example(value=-0.04, decimals=1)
def test_a_number_that_rounds_to_zero_has_no_sign(value: float, decimals: int) -> None:
    for text in (write_fixed(value, decimals), format_number(value), format_figure(value)):
        assert not SIGNED_ZERO.match(text), text


@pytest.mark.parametrize(
    ("value", "text"), [(-0.31, "-0.31"), (-0.001, "0.00"), (1.2, "1.20"), (-12.0, "-12.00")]
)
def test_other_numbers_keep_sign_and_decimals(value: float, text: str) -> None:
    assert write_fixed(value, 2) == text


def test_a_log_of_an_earlier_version_is_read_without_the_sign() -> None:
    old = "error_margin: evidence -0.00 of 3.00; latency_margin: evidence -0.01 of 3.00"
    new = "error_margin: evidence 0.00 of 3.00; latency_margin: evidence -0.01 of 3.00"
    assert reword_reason(old) == new
