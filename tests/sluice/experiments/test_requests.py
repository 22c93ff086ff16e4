"""From requests to units: windows, feedback that comes late, units in both arms."""

import numpy as np
import pytest

from sluice.experiments.requests import CONTROL, NONE, TREATMENT, ExperimentRequests, build_units
from support.experiments.traffic import DAY, START, configure

CONFIG = configure(
    secondary=[
        {"name": "sum", "source": "value", "shape": "mean", "better": "higher", "cap": 15},
        {"name": "per request", "source": "value", "shape": "ratio", "better": "higher"},
    ]
)
H = 3600.0


def build(rows: list[tuple[str, int, float, float]], late: float = 0.0) -> ExperimentRequests:
    """Rows are unit, arm, hours after the start, and value."""
    names, unit = np.unique([row[0] for row in rows], return_inverse=True)
    at = np.array([START + H * row[2] for row in rows])
    value = np.array([row[3] for row in rows])
    return ExperimentRequests(
        names=names.astype(str),
        unit=unit.astype(np.int64),
        arm=np.array([row[1] for row in rows]),
        at=at,
        figures={"value": value, "positive": np.where(value > 0, 1.0, 0.0)},
        feedback_at=at + late,
        traits={"day": [""] * len(names)},
    )


def test_what_a_unit_does_within_its_window_counts() -> None:
    rows = [("a", CONTROL, 0, 10.0), ("a", CONTROL, 23, 10.0), ("a", CONTROL, 25, 10.0)]
    units = build_units(build([*rows, ("b", TREATMENT, 1, np.nan)]), CONFIG, START + 2 * DAY)
    assert units.arm.tolist() == [CONTROL, TREATMENT]
    assert units.metrics["per request"].sums.tolist() == [20.0, 0.0]
    assert units.metrics["per request"].counts.tolist() == [2.0, 0.0]
    assert units.metrics["sum"].sums.tolist() == [15.0, 0.0]
    assert units.metrics["pleased"].sums.tolist() == [1.0, 0.0]


def test_a_unit_whose_window_is_open_waits_and_never_changes_later() -> None:
    requests = build([("a", CONTROL, 0, 1.0), ("b", TREATMENT, 30, 1.0)])
    early = build_units(requests, CONFIG, START + 1.5 * DAY)
    assert (early.count(CONTROL), early.count(TREATMENT), early.waiting) == (1, 0, 1)
    assert early.assigned == (1, 1)
    later = build_units(requests, CONFIG, START + 3 * DAY)
    assert later.metrics["sum"].sums[0] == early.metrics["sum"].sums[0]


def test_a_unit_in_both_arms_is_counted_and_left_out() -> None:
    rows = [("a", CONTROL, 0, 1.0), ("a", TREATMENT, 1, 1.0), ("b", CONTROL, 0, 1.0)]
    units = build_units(build(rows), CONFIG, START + 2 * DAY)
    assert units.mixed == 1
    assert units.count(CONTROL) == 1
    assert units.assigned == (2, 1)


def test_requests_of_neither_arm_count_for_none() -> None:
    rows = [("a", NONE, 0, 9.0), ("a", CONTROL, 5, 1.0)]
    units = build_units(build(rows), CONFIG, START + 2 * DAY)
    assert units.unassigned == 1
    assert units.metrics["sum"].sums.tolist() == [1.0]
    assert units.entered.tolist() == [START + 5 * H]


def test_feedback_that_comes_after_window_and_wait_does_not_count() -> None:
    rows = [("a", CONTROL, 0, 1.0)]
    late = build(rows, late=1.5 * DAY)
    assert build_units(late, CONFIG, START + 9 * DAY).metrics["sum"].sums.tolist() == [0.0]
    patient = configure(secondary=[item.model_dump() for item in CONFIG.secondary], wait="1 d")
    assert build_units(late, patient, START + 9 * DAY).metrics["sum"].sums.tolist() == [1.0]


def test_the_covariate_comes_from_before_and_is_missing_for_new_units() -> None:
    before = build([("a", CONTROL, -48, 5.0), ("z", CONTROL, -48, 5.0)])
    now = build([("a", CONTROL, 0, 1.0), ("b", TREATMENT, 0, 1.0)])
    units = build_units(now, configure(cuped="7 d"), START + 2 * DAY, before)
    assert units.covariate is not None
    assert units.covariate[0] == 1.0
    assert np.isnan(units.covariate[1])
    nobody = build_units(
        now, configure(cuped="7 d"), START + 2 * DAY, build([("z", CONTROL, -48, 5.0)])
    )
    assert nobody.covariate is not None
    assert np.isnan(nobody.covariate).all()


@pytest.mark.parametrize("as_of", [START - 1, START])
def test_nothing_yet_is_no_unit(as_of: float) -> None:
    units = build_units(build([("a", CONTROL, 1, 1.0)]), CONFIG, as_of)
    assert units.assigned == (0, 0)
    assert len(units.arm) == 0
