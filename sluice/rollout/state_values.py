"""A rollout's state as plain values that JSON can hold, and back; every figure comes back exactly.

What follows from the policy (boundaries, lengths) is not written: it is made anew.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np

from sluice.config.policy import Policy
from sluice.rollout.history import History
from sluice.rollout.latency import LatencyLimits
from sluice.rollout.observation import Baseline, Observation, open_stage
from sluice.rollout.phases import Phase
from sluice.rollout.soak import Alarm
from sluice.rollout.stage import StageEvidence
from sluice.rollout.state import Rollout, Soak

Values = dict[str, Any]


def write_state(state: Rollout) -> Values:
    """Give everything of a state that its policy does not say."""
    return {
        "phase": state.phase.value,
        "stage": state.stage,
        "epoch": state.epoch,
        "seen": _write_observation(state.seen),
        "soak": _write_soak(state.soak) if state.soak else None,
        "approved": state.approved,
        "unseen": state.unseen,
        "reason": state.reason,
        "thaws_to": state.thaws_to.value,
    }


def read_state(values: Mapping[str, Any], policy: Policy) -> Rollout:
    """Build the state that `write_state` wrote, under the same policy."""
    soak = values["soak"]
    return Rollout(
        phase=Phase(values["phase"]),
        stage=values["stage"],
        epoch=values["epoch"],
        seen=_read_observation(values["seen"], values["stage"], policy),
        soak=_read_soak(soak) if soak else None,
        approved=values["approved"],
        unseen=values["unseen"],
        reason=values["reason"],
        thaws_to=Phase(values["thaws_to"]),
    )


def _write_observation(seen: Observation) -> Values:
    return {
        "evidence": {name: _write_evidence(item) for name, item in seen.evidence.items()},
        "baseline": _write_baseline(seen.baseline),
        "disagreement": _write_numbers(seen.disagreement.log_products),
        "blocks": seen.blocks,
        "waived": sorted(seen.waived),
    }


def _read_observation(values: Mapping[str, Any], stage: int, policy: Policy) -> Observation:
    histories = {
        name: History(_read_numbers(item["n"]), _read_numbers(item["k"]))
        for name, item in values["evidence"].items()
    }
    begun = open_stage(policy, stage, histories, _read_baseline(values["baseline"]))
    products = _read_numbers(values["disagreement"])
    return replace(
        begun,
        evidence={
            name: _read_evidence(item, values["evidence"][name])
            for name, item in begun.evidence.items()
        },
        disagreement=replace(begun.disagreement, log_products=products),
        blocks=values["blocks"],
        waived=frozenset(values["waived"]),
    )


def _write_evidence(item: StageEvidence) -> Values:
    return {
        "n": _write_numbers(item.history.n),
        "k": _write_numbers(item.history.k),
        "t": item.rollback.t,
        "bets": _write_numbers(item.rollback.log_bets),
        "first_rate": float(item.rollback.first_rate),
        "requests": float(item.rollback.requests),
        "failures": float(item.rollback.failures),
        "products": _write_numbers(item.passing.log_products),
    }


def _read_evidence(begun: StageEvidence, values: Mapping[str, Any]) -> StageEvidence:
    rollback = replace(
        begun.rollback,
        t=values["t"],
        log_bets=_read_numbers(values["bets"]),
        first_rate=values["first_rate"],
        requests=values["requests"],
        failures=values["failures"],
    )
    passing = replace(begun.passing, log_products=_read_numbers(values["products"]))
    return replace(begun, rollback=rollback, passing=passing)


def _write_baseline(baseline: Baseline) -> Values:
    limits = baseline.limits
    return {
        "window": [{str(key): n for key, n in item.items()} for item in baseline.window],
        "limits": [limits.baseline, limits.near, limits.far] if limits else None,
        "age": baseline.age,
    }


def _read_baseline(values: Mapping[str, Any]) -> Baseline:
    window = tuple({int(key): n for key, n in item.items()} for item in values["window"])
    limits = LatencyLimits(*values["limits"]) if values["limits"] else None
    return Baseline(window, limits, values["age"])


def _write_soak(soak: Soak) -> Values:
    alarms = {
        name: {"limit": item.limit, "sums": _write_numbers(item.sums)}
        for name, item in soak.alarms.items()
    }
    return {"alarms": alarms, "limit": soak.limit, "blocks": soak.blocks}


def _read_soak(values: Mapping[str, Any]) -> Soak:
    alarms = {
        name: Alarm(item["limit"], _read_numbers(item["sums"]))
        for name, item in values["alarms"].items()
    }
    return Soak(alarms, values["limit"], values["blocks"])


def _write_numbers(numbers: Any) -> list[float | str]:
    """Give an array of one axis; what JSON has no number for is written as a word."""
    return [item if isfinite(item) else str(item) for item in np.asarray(numbers, float).tolist()]


def _read_numbers(values: list[float | str]) -> Any:
    return np.array([float(item) for item in values], dtype=float)
