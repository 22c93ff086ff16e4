"""The data gate passes good evidence, stops bad evidence, and halts on missing evidence."""

from dataclasses import replace

import pyarrow as pa
import pytest

from sluice.config.data import DataConfig
from sluice.data.leakage import FeaturePower
from sluice.gates.data import DataEvidence, DataGate, RuleResult
from sluice.verdict import Outcome, Verdict

LIMITS = DataConfig(
    id="key",
    target="label",
    columns={"key": "integer", "age": "integer", "code": "text", "label": "integer"},
    features=("age", "code"),
    suite="shop",
    minimum_rows=1000,
)
GATE = DataGate(LIMITS)
AGE = FeaturePower("age", 0.77, (0.76, 0.78), 3000, "all rows")
CODE = FeaturePower("code", 0.55, (0.54, 0.56), 3000, "all rows")
GOOD = DataEvidence(
    suite="shop",
    rows=3000,
    known_rows=3000,
    new_rows=1000,
    previous_rows=2000,
    repeated=0,
    rules=(
        RuleResult("age within [16, 100]", "met", 0, 0, "<=", "rows", 3000),
        RuleResult("code in set", "met", 0, 0, "<=", "rows", 3000),
    ),
    leakage=(AGE, CODE),
    bad_rows=pa.table({"rule": pa.array([], pa.string())}),
)
BROKEN = RuleResult(
    "code in set",
    "broken",
    12,
    0,
    "<=",
    "rows",
    3000,
    "12 of 3,000 rows outside the set",
    ("4", "17"),
)
ERRORED = RuleResult("code in set", "errored", finding="could not be evaluated: no column 'code'")


def judge(**changes: object) -> Verdict:
    return GATE.judge(replace(GOOD, **changes))  # type: ignore[arg-type]


def test_good_data_passes() -> None:
    verdict = GATE.judge(GOOD)
    assert verdict.passed
    assert verdict.reason == "3,000 rows, 1,000 of them new: 6 checks passed"
    assert verdict.next_step == ""
    assert verdict.notices == ()


def test_every_rule_and_feature_has_a_check() -> None:
    names = [check.name for check in GATE.judge(GOOD).checks]
    assert names == [
        "age within [16, 100]",
        "code in set",
        "key new",
        "target leakage of age",
        "target leakage of code",
        "rows",
    ]


def test_a_broken_rule_fails_with_the_rows_named() -> None:
    verdict = judge(rules=(GOOD.rules[0], BROKEN))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason == ("code in set: 12 of 3,000 rows outside the set (first: key 4, 17)")
    assert "gx/expectations/shop.json" in verdict.next_step


def test_the_rule_that_most_rows_broke_comes_first() -> None:
    small = replace(BROKEN, name="age within [16, 100]", measured=2, finding="2 rows out of range")
    verdict = judge(rules=(small, BROKEN))
    assert verdict.reason.startswith("code in set: 12")
    assert verdict.reason.endswith("; also age within [16, 100]")


def test_an_errored_rule_halts_as_insufficient() -> None:
    verdict = judge(rules=(GOOD.rules[0], ERRORED))
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert verdict.reason == "code in set: could not be evaluated: no column 'code'"


def test_a_failure_outweighs_an_error() -> None:
    verdict = judge(rules=(replace(BROKEN, name="age within [16, 100]"), ERRORED))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason.startswith("age within")


def test_a_rule_that_was_not_judged_passes_with_notice() -> None:
    silent = RuleResult("new rows", "not judged", finding="no previous version")
    verdict = judge(rules=(*GOOD.rules, silent), previous_rows=None)
    assert verdict.passed
    assert verdict.notices == ("not judged: no previous version (new rows)",)


def test_an_empty_suite_halts() -> None:
    verdict = judge(rules=())
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "has no expectation" in verdict.reason


def test_too_few_rows_halt_with_the_number_needed() -> None:
    verdict = judge(rows=400, known_rows=400)
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert verdict.reason == "rows: 400 rows are too few to judge, 1,000 needed"
    assert verdict.next_step == "bring 600 more rows"


def test_repeated_ids_fail() -> None:
    verdict = judge(repeated=7)
    assert verdict.outcome is Outcome.FAIL
    assert "7 of 3,000 rows carry an id of the previous version" in verdict.reason


def test_a_leaking_feature_fails() -> None:
    leak = replace(CODE, power=0.97, part="new rows")
    verdict = judge(leakage=(AGE, leak))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason == (
        "target leakage of code: code alone predicts the target: power 0.970 on new rows"
    )
    assert "data.leakage.allowed" in verdict.next_step


def test_power_at_the_limit_is_no_leak() -> None:
    assert judge(leakage=(AGE, replace(CODE, power=0.9))).passed


def test_a_leak_that_is_allowed_passes_with_notice() -> None:
    leakage = LIMITS.leakage.model_copy(update={"allowed": ("code",)})
    gate = DataGate(LIMITS.model_copy(update={"leakage": leakage}))
    verdict = gate.judge(replace(GOOD, leakage=(AGE, replace(CODE, power=0.97))))
    assert verdict.passed
    assert "allowed by data.leakage.allowed" in verdict.notices[0]


@pytest.mark.parametrize("leakage", [(), (AGE,), (AGE, replace(CODE, power=None, n=100))])
def test_leakage_that_was_not_measured_halts(leakage: tuple[FeaturePower, ...]) -> None:
    verdict = judge(leakage=leakage)
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert "target leakage of" in verdict.reason


def test_the_verdict_survives_json() -> None:
    verdict = judge(rules=(BROKEN, ERRORED))
    assert Verdict.from_dict(verdict.to_dict()) == verdict


@pytest.mark.parametrize(
    ("previous", "rows", "outcome"),
    [
        (2000, 3000, Outcome.PASS),
        (None, 999, Outcome.PASS),
        (None, 1000, Outcome.INSUFFICIENT),
    ],
)
def test_a_batch_that_leakage_cannot_be_measured_on(
    previous: int | None, rows: int, outcome: Outcome
) -> None:
    """It passes with notice, except a first batch that is large enough for a release."""
    changes = {"previous_rows": previous, "rows": rows, "known_rows": rows}
    verdict = judge(leakage=(), is_increment=True, **changes)
    assert verdict.outcome is outcome
    assert "judged at release" in " ".join(verdict.notices) or not verdict.passed
