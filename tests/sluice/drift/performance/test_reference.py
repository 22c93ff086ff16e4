"""The performance section of a reference profile: complete, JSON, and refused where damaged."""

import json
from typing import Any

import numpy as np
import pytest

from sluice.config.service import ServiceConfig
from sluice.drift.performance.reference import (
    SECTION,
    SECTIONS,
    PerformanceReference,
    build_reference,
    build_sections,
    read_reference,
)
from sluice.errors import DataInvalid
from sluice.stats.holdout import Holdout, Predictions
from support.people import draw_people, finite


def test_section_reads_back_the_same(reference: PerformanceReference) -> None:
    text = json.dumps({SECTIONS: {SECTION: reference.to_document()}}, allow_nan=False)
    assert read_reference(json.loads(text), "profile") == reference


def test_sections_are_those_of_a_profile(
    config: ServiceConfig, reference: PerformanceReference
) -> None:
    sections = build_sections(config, *draw_people(4_000, 0))
    assert read_reference({"format": 1, SECTIONS: sections}, "profile") == reference


def test_profile_without_the_section_has_no_reference() -> None:
    assert read_reference({"format": 1}, "profile") is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"format": 9},
            r"profile: sections.performance.format: found 9, allowed: 1; next: .* release again",
        ),
        ({"problem": "ranking"}, "profile: sections.performance.problem: .*; next: release again"),
        ({"n": "many"}, "profile: sections.performance.n: "),
        ({"loss": {"name": "log_loss", "value": float("nan"), "error": 1.0, "n": 3}}, "loss.value"),
    ],
)
def test_damaged_section_is_refused_with_the_key(
    reference: PerformanceReference, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataInvalid, match=words):
        read_reference({SECTIONS: {SECTION: {**reference.to_document(), **change}}}, "profile")


def test_section_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(DataInvalid, match="found None"):
        read_reference({SECTIONS: {SECTION: [1]}}, "profile")


def test_errors_are_those_of_the_figures(reference: PerformanceReference) -> None:
    accuracy = reference.find_figure("accuracy")
    assert accuracy is not None
    assert accuracy.value is not None
    binomial = np.sqrt(accuracy.value * (1 - accuracy.value) / reference.n)
    assert accuracy.error == pytest.approx(binomial, rel=1e-3)


def test_slices_have_their_own_figures(reference: PerformanceReference) -> None:
    assert sum(one.figure.n for one in reference.slices) == reference.n
    assert {one.name for one in reference.slices} == {"sex=female", "sex=male"}


def test_few_rows_are_measured_and_estimate_nothing(config: ServiceConfig) -> None:
    found = build_reference(config, *draw_people(300, 1))
    assert found.calibration is None
    assert found.note == "300 held-out rows, 500 needed to estimate performance"
    assert finite(found.to_document())


def test_incomplete_predictions_are_refused(config: ServiceConfig) -> None:
    holdout, given = draw_people(600, 1)
    without = Predictions(given.labels, None, given.classes)
    with pytest.raises(DataInvalid, match=r"the reference profile of employment: .*probabilities"):
        build_reference(config, holdout, without)


def test_one_class_only_has_no_area_and_says_why(config: ServiceConfig) -> None:
    holdout, given = draw_people(600, 1)
    found = build_reference(config, Holdout(np.ones(600, dtype=int), holdout.frame), given)
    assert found.find_figure("auc") is None
    assert "a class is missing in the rows" in [one.note for one in found.figures]
    assert finite(found.to_document())
