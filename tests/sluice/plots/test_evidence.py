"""The plot of a rollout's evidence, drawn from the decision log alone."""

from math import isnan, log

import numpy as np
import pytest

from sluice.plots.rollout import draw_evidence, gather_passes, gather_stops
from sluice.plots.style import render_png
from sluice.rollout.facts import Facts
from sluice.rollout.log import Derived, LogRecord, write_step
from sluice.rollout.state_machine import step
from support.rollouts.counts import LAPTOP, begin, facts_of

TICKS = 90


@pytest.fixture(scope="module")
def records() -> list[LogRecord]:
    """A rollout of a candidate that fails a little more often, as its log records it."""
    state, rng, found = begin(), np.random.default_rng(5), []
    for tick in range(1, TICKS + 1):
        facts = facts_of(state, rng, candidate=0.02) if tick > 1 else Facts()
        state, decision = step(state, facts, None, LAPTOP)
        found.append(write_step(tick, facts, None, Derived(state, decision), LAPTOP))
    return found


def test_shares_are_those_of_the_log(records: list[LogRecord]) -> None:
    stops = gather_stops(records)
    last = records[-1]["tests"]["error_margin"]
    assert stops["error_margin"][-1] == last["wealth"] / last["threshold"]
    assert all(len(shares) == TICKS for shares in stops.values())


def test_a_test_is_drawn_where_its_stage_requires_it(records: list[LogRecord]) -> None:
    passes = gather_passes(records, LAPTOP)
    for record, share in zip(records, passes["error_margin"], strict=True):
        required = record["stage"] in ("shadow", "canary", "half")
        value = record["tests"]["error_margin"]["pass"]
        known = required and value is not None
        assert isnan(share) is not known
        if known:
            assert share == value / log(1 / LAPTOP.pass_alpha)


def test_each_rule_has_a_line_of_its_own_and_each_stage_a_mark(records: list[LogRecord]) -> None:
    upper, lower = draw_evidence("alpha", records, LAPTOP).axes
    handles, named = upper.get_legend_handles_labels()
    assert named == list(gather_stops(records))
    assert len({(line.get_color(), line.get_linestyle()) for line in handles}) == len(named)
    stages = [text.get_text().split()[0] for text in lower.texts]
    assert stages == list(dict.fromkeys(record["stage"] for record in records))


def test_a_long_rollout_is_a_small_file(records: list[LogRecord]) -> None:
    many = [
        {**record, "tick": TICKS * turn + record["tick"]}
        for turn in range(20)
        for record in records
    ]
    assert len(render_png(draw_evidence("alpha", many, LAPTOP))) < 300_000


def test_the_first_tick_alone_can_be_drawn(records: list[LogRecord]) -> None:
    assert render_png(draw_evidence("alpha", records[:1], LAPTOP)).startswith(b"\x89PNG")
