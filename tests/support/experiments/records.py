"""Records of experiments for the tests of pages."""

from dataclasses import replace
from datetime import UTC, datetime

from sluice.experiments.analysis import analyse_units
from sluice.experiments.comparison import Look
from sluice.experiments.plan import plan_experiment
from sluice.experiments.record import ExperimentDecision, ExperimentPhase, ExperimentRecord
from sluice.experiments.requests import build_units
from support.experiments.traffic import DAY, START, Draw, configure, draw_requests

AT = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)


def make_decided(service: str = "towns", words: str = "it is better") -> ExperimentRecord:
    """Return an experiment that was decided, with every part of a report."""
    config = configure(
        service=service,
        hypothesis=words[:500].ljust(20, "."),
        assumed={"mean": 0.2, "units_a_day": 1000},
        secondary=[{"name": "v" * 60, "source": "value", "shape": "mean", "better": "higher"}],
        guardrails=[
            {
                "name": "failures",
                "source": "failed",
                "shape": "rate",
                "better": "lower",
                "margin": 0.1,
            }
        ],
        segments=["day"],
    )
    end = START + 9 * DAY
    units = build_units(draw_requests(Draw(rate_b=0.3), config), config, end)
    plan = plan_experiment(config, None, (0.0, 0.0))
    return ExperimentRecord(
        name="tone",
        number=12,
        service=service,
        phase=ExperimentPhase.DECIDED,
        config=config,
        plan=plan,
        control=1233,
        treatment=1234,
        planned=AT,
        started=datetime.fromtimestamp(START, UTC),
        ended=datetime.fromtimestamp(end, UTC),
        end_reason=words,
        analysis=analyse_units(units, config, Look(end, START, plan.units, plan.effect)),
        decision=ExperimentDecision("promote", "Ada <b>Lovelace</b>", words, AT),
    )


def make_running(service: str = "towns") -> ExperimentRecord:
    """Return an experiment whose traffic runs."""
    return replace(
        make_decided(service),
        phase=ExperimentPhase.RUNNING,
        ended=None,
        end_reason="",
        analysis=None,
        decision=None,
    )
