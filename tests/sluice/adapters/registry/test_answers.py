"""The effect of a person's answer on a version's alias and on its promotion."""

import pytest

from sluice.adapters.registry.aliases import choose_alias
from sluice.adapters.registry.versions import ModelVersionRef, check_verdicts
from sluice.errors import PromotionRefused

GATES = ("data", "evaluation", "bias", "parity", "security")


def make_version(version: int, approval: str = "", **outcomes: str) -> ModelVersionRef:
    tags = {f"sluice.verdict.{gate}": outcomes.get(gate, "pass") for gate in GATES}
    tags |= {"sluice.approval": approval} if approval else {}
    return ModelVersionRef("alpha", version, "run", tags, f"models:/alpha/{version}")


@pytest.mark.parametrize(
    ("approval", "champion", "alias"),
    [
        ("", False, "champion"),
        ("", True, "candidate"),
        ("pending", False, "candidate"),
        ("pending", True, "candidate"),
        ("approved", True, "candidate"),
        ("refused", True, ""),
        ("expired", False, ""),
        ("superseded", False, ""),
    ],
)
def test_alias_of_a_version_that_was_registered(approval: str, champion: bool, alias: str) -> None:
    found = make_version(2, approval)
    assert choose_alias(found, make_version(1) if champion else None) == alias


def test_the_champion_registered_again_keeps_its_alias() -> None:
    assert choose_alias(make_version(1), make_version(1)) == ""


def test_an_approved_insufficient_evaluation_may_be_promoted() -> None:
    check_verdicts(make_version(2, "approved", evaluation="insufficient"))


@pytest.mark.parametrize(
    ("approval", "gate", "outcome"),
    [
        ("", "evaluation", "insufficient"),
        ("approved", "evaluation", "fail"),
        ("approved", "evaluation", "listed"),
        ("approved", "data", "insufficient"),
        ("approved", "bias", "insufficient"),
        ("approved", "parity", "insufficient"),
        ("approved", "bias", "fail"),
    ],
)
def test_every_other_verdict_is_refused(approval: str, gate: str, outcome: str) -> None:
    with pytest.raises(PromotionRefused, match=f"{gate} {outcome}; every verdict must be `pass`"):
        check_verdicts(make_version(2, approval, **{gate: outcome}))


@pytest.mark.parametrize("approval", ["pending", "refused", "expired", "superseded", "other"])
def test_without_approval_good_verdicts_are_not_enough(approval: str) -> None:
    with pytest.raises(PromotionRefused, match=r"alpha v2 .*; next: "):
        check_verdicts(make_version(2, approval))
