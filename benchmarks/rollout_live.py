"""Real rollouts through real gateway and flow: of an equal candidate (A/A) and of a faulty one.

`python -m benchmarks.rollout_live [--rollouts 20]`. All rollouts use one local stack and alternate:
the same model on both sides, which must never be rolled back (A/A), and a candidate that fails ten
points more, which must always be. Callers send requests all the time; none may get an error.
"""

import argparse
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.harness.results import Row, report
from benchmarks.harness.served import SERVICE, Served, prepare_home
from cli.output import say
from cli.runs import open_terminal
from demo.faulty import ModelFault, register_faulty
from demo.stack import CallerOptions, run_callers, run_gateway, wait_for_champion
from demo.watch import RolloutWatch, verify_log
from sluice.config.loading import load_policy
from sluice.config.policy import hash_policy
from sluice.home import find_home
from sluice.rollout.facts import read_facts
from sluice.rollout.state import Phase, Verb

POLICY = "smoke"
RPS, FEEDBACK, PATIENCE = 250.0, 0.2, 20.0
FAULT = ModelFault("errors", share=0.10)
LONGEST_SECONDS = 4 * 3600.0
EQUAL, FAULTY = "equal", "faulty"


@dataclass(frozen=True)
class MeasuredRollout:
    """One rollout: how it ended, its duration, and the candidate's requests."""

    kind: str
    phase: str
    reason: str
    seconds: float
    requests: int
    """Requests of users that were assigned to the candidate, without shadow and soak."""
    steps: int
    """Decisions that were derived again from the log."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, default=20, help="of each kind")
    count = parser.parse_args().rollouts
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SLUICE_HOME"] = str(Path(folder) / "home")
        for name in ("MLFLOW_TRACKING_URI", "SLUICE_CONTROL_URL"):
            os.environ.pop(name, None)
        with open_terminal():
            found, counts = run_all(Path(folder), count)
    policy = load_policy(POLICY)
    notes = {
        "policy": {"name": POLICY, "hash": hash_policy(policy)},
        "requests a second": RPS,
        "fault": f"{FAULT.kind} on {FAULT.share:.0%} of rows",
        "endings": {kind: dict(list_endings(found, kind)) for kind in (EQUAL, FAULTY)},
        "delays in seconds": [round(one.seconds, 1) for one in found if one.kind == FAULTY],
        "callers": {"sent": counts["sent"], "errors": counts["errors"]},
    }
    report("aa", list_rows(found, counts), notes)


def run_all(folder: Path, count: int) -> tuple[list[MeasuredRollout], dict[str, Any]]:
    """Run so many rollouts of each kind, in turns; return them and the callers' counts."""
    say("### a model is fitted and registered twice, and once with a fault")
    served = prepare_home(find_home())
    for _ in ("champion", "candidate"):
        served.register(folder)
    faulty = register_faulty(served.registry, served.config, served.rows, FAULT).version
    served.set_route(SERVICE, 1)
    found: list[MeasuredRollout] = []
    with run_gateway(served.home) as addresses:
        wait_for_champion(served.home, addresses.gateway, SERVICE, 1)
        options = CallerOptions(SERVICE, RPS, FEEDBACK, LONGEST_SECONDS)
        with run_callers(served.home, addresses.gateway, options) as callers:
            for number in range(1, count + 1):
                for kind in (EQUAL, FAULTY):
                    version = faulty if kind == FAULTY else _find_other(served)
                    found.append(_roll_out(served, kind, version))
                    say(f"### {number} of {count}, {kind}: {found[-1].phase}: {found[-1].reason}")
            return found, callers.end()


def _find_other(served: Served) -> int:
    """Return the version that equals the champion."""
    champion = served.registry.find_alias(SERVICE, "champion")
    return 2 if champion is not None and champion.version == 1 else 1


def _roll_out(served: Served, kind: str, version: int) -> MeasuredRollout:
    from flows.rollout import rollout

    with RolloutWatch(served.control, SERVICE, PATIENCE):
        rollout(SERVICE, version, POLICY, return_state=True)
    record = served.control.rollouts.list_rollouts(SERVICE)[-1]
    log = served.control.rollouts.read_log(SERVICE, record.number)
    began = next(at for at, record in log[1:] if record["decision"] == Verb.BEGIN)
    ends = [at for at, record in log[1:] if record["decision"] in (Verb.ROLL_BACK, Verb.FINISH)]
    requests = [
        facts.candidate.requests
        for _, record in log[1:]
        if 0 < record["weight"] < 1 and (facts := read_facts(record["facts"])).candidate
    ]
    return MeasuredRollout(
        kind,
        record.state.phase.value,
        record.state.reason,
        ((ends or [log[-1][0]])[0] - began).total_seconds(),
        int(sum(requests)),
        verify_log(served.control, record),
    )


def list_endings(found: Sequence[MeasuredRollout], kind: str) -> Counter[str]:
    """Count how the rollouts of a kind ended."""
    return Counter(f"{one.phase}: {one.reason}" for one in found if one.kind == kind)


def list_rows(found: Sequence[MeasuredRollout], counts: dict[str, Any]) -> list[Row]:
    """Return the figures with their targets."""
    equal = [one for one in found if one.kind == EQUAL]
    faulty = [one for one in found if one.kind == FAULTY]
    back = [one.phase == Phase.ROLLED_BACK for one in equal]
    done = [one.phase == Phase.DONE for one in equal]
    caught = [one.phase == Phase.ROLLED_BACK for one in faulty]
    delays = [one.seconds for one in faulty]
    return [
        Row("equal: rolled back", sum(back), f"of {len(equal)}", 0.0),
        Row("equal: promoted", sum(done), f"of {len(equal)}"),
        Row("equal: median time to the promotion", median(one.seconds for one in equal), "s", 60.0),
        Row("ten points worse: rolled back", sum(caught), f"of {len(faulty)}", len(faulty), True),
        Row("ten points worse: median delay", median(delays), "s"),
        Row("ten points worse: longest delay", max(delays), "s", 60.0),
        Row("ten points worse: users' requests assigned to it, most", _find_most(faulty), ""),
        Row("errors at callers", sum(counts["errors"].values()), f"of {counts['sent']}", 0.0),
        Row("decisions derived again from the logs", sum(one.steps for one in found), ""),
    ]


def _find_most(found: Sequence[MeasuredRollout]) -> int:
    return max(one.requests for one in found)


if __name__ == "__main__":
    main()
