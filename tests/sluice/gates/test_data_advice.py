"""What a halted data gate names first, and what it says to do next."""

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
    columns={"key": "integer", "age": "integer", "label": "integer"},
    features=("age",),
    suite="shop",
    minimum_rows=1000,
)
MET = RuleResult("age within [16, 100]", "met", 0, 0, "<=", "rows", 1000)
AGE = FeaturePower("age", 0.77, (0.76, 0.78), 1000, "all rows")
GOOD = DataEvidence("shop", 1000, 1000, 400, 600, 0, (MET,), (AGE,), pa.table({}))
BROKEN = RuleResult("age within", "broken", 1, 0, "<=", "rows", 1000, "1 row out of range", ("7",))
SHARE = RuleResult("mean age", "broken", 0.3, 0.2, "<=", "", 1000, "the mean moved")
ERRORED = RuleResult("code in set", "errored", finding="no column 'code'")


def judge(**changes: object) -> Verdict:
    return DataGate(LIMITS).judge(replace(GOOD, **changes))  # type: ignore[arg-type]


def test_as_many_rows_as_needed_are_enough() -> None:
    assert judge().passed
    short = judge(known_rows=999)
    assert (short.outcome, short.next_step) == (Outcome.INSUFFICIENT, "bring 1 more rows")


@pytest.mark.parametrize("rules", [(SHARE, BROKEN), (BROKEN, SHARE)])
def test_a_rule_that_rows_broke_is_named_before_one_of_the_whole_table(
    rules: tuple[RuleResult, ...],
) -> None:
    verdict = judge(rules=rules)
    assert verdict.reason == "age within: 1 row out of range (first: key 7); also mean age"


def test_a_rule_without_a_count_of_rows_is_named_last() -> None:
    uncounted = replace(BROKEN, name="unknown", measured=None)
    assert judge(rules=(uncounted, BROKEN)).reason.startswith("age within: ")


def test_the_reason_names_three_rows_and_the_check_all_of_them() -> None:
    many = replace(BROKEN, first=("1", "2", "3", "4"))
    verdict = judge(rules=(many,))
    assert verdict.reason == "age within: 1 row out of range (first: key 1, 2, 3)"
    assert verdict.checks[0].note == "1 row out of range (first: key 1, 2, 3, 4)"


def test_four_others_are_named_and_the_rest_counted() -> None:
    rules = tuple(replace(SHARE, name=f"r{at}") for at in range(6))
    assert judge(rules=rules).reason == "r0: the mean moved; also r1, r2, r3, r4 and 1 more"
    assert judge(rules=rules[:5]).reason == "r0: the mean moved; also r1, r2, r3, r4"


@pytest.mark.parametrize(
    ("changes", "outcome", "advice"),
    [
        ({"rules": (BROKEN,)}, Outcome.FAIL, "correct the data at its source, or change the rule"),
        ({"rules": (ERRORED,)}, Outcome.INSUFFICIENT, "repair gx/expectations/shop.json: a rule"),
        ({"rules": ()}, Outcome.INSUFFICIENT, "repair gx/expectations/shop.json: a rule"),
        ({"repeated": 1}, Outcome.FAIL, "remove the rows that the table already has"),
        (
            {"leakage": (replace(AGE, power=0.91),)},
            Outcome.FAIL,
            "find out when age is filled in; leave it out of data.features",
        ),
        ({"leakage": ()}, Outcome.INSUFFICIENT, "bring labelled rows of each class, so that age"),
    ],
)
def test_the_advice_is_about_what_halted(
    changes: dict[str, object], outcome: Outcome, advice: str
) -> None:
    verdict = judge(**changes)
    assert verdict.outcome is outcome
    assert verdict.next_step.startswith(advice)


def test_leakage_that_was_not_measured_shows_its_rows() -> None:
    found = judge(leakage=(replace(AGE, power=None, n=80),))
    check = next(check for check in found.checks if check.name == "target leakage of age")
    assert (check.n, check.limit, check.relation) == (80, LIMITS.leakage.limit, "<=")
    missing = judge(leakage=())
    check = next(check for check in missing.checks if check.name == "target leakage of age")
    assert check.n == 0
