"""A rollout's figures and available commands, from its state and decision log."""

from collections.abc import Iterator
from math import isfinite, log

from serving.page.view import (
    NO_REQUESTS,
    SOAK,
    ArmPair,
    ArmsPoint,
    ArmView,
    CommandChoice,
    EvidencePoint,
    Interval,
    LogPoint,
    LogSummary,
    RolloutView,
    RuleView,
    StageCounts,
    StageState,
    StageView,
)
from sluice.report.next_steps import advise, needs_help
from sluice.report.rollout import bound_rate
from sluice.rollout.latency import bound_quantile, edge_of, find_quantile
from sluice.rollout.log import describe_tests
from sluice.rollout.record import RolloutRecord, RolloutSummary
from sluice.rollout.rules import list_rules
from sluice.rollout.state import ALLOWED, Action, Phase
from sluice.rounding import write_fixed

STRETCHES = 24
"""Stretches of time into which both arms' figures are merged."""
MEANINGS = {
    Action.PAUSE: "Keeps the weight. The tests continue and can still roll back.",
    Action.RESUME: "Continues after a pause; the rule that paused it is waived for this stage.",
    Action.SKIP: "Enters the next stage without the proof that this stage requires.",
    Action.APPROVE: "Gives the approval that this stage requires.",
    Action.PROMOTE: "Sends all traffic to the candidate now and skips the remaining stages.",
    Action.ROLL_BACK: "Sends all traffic to the champion; the candidate has failed.",
    Action.ABORT: "Ends the rollout; the champion serves, the candidate is not blamed.",
}


def view_rollout(
    summary: RolloutSummary, record: RolloutRecord, log_summary: LogSummary
) -> RolloutView:
    """Return everything that the page shows of a rollout."""
    state, policy = record.state, record.policy
    in_soak, stage = log_summary.stage == SOAK, policy.stages[state.stage]
    shortest, longest = (policy.soak, policy.soak) if in_soak else (stage.min, stage.max)
    blocks = state.soak.blocks if in_soak and state.soak else state.observation.blocks
    return RolloutView(
        summary=summary,
        reason=state.reason,
        next_step=advise(record),
        needs_person=needs_help(record),
        policy=policy.policy,
        block=policy.block,
        stage=log_summary.stage,
        weight=state.weight(policy),
        blocks=blocks,
        min_blocks=policy.count_blocks(shortest),
        max_blocks=policy.count_blocks(longest),
        stage_since=log_summary.stage_since,
        phase_since=log_summary.phase_since,
        epoch=state.epoch,
        stages=tuple(_view_stages(record, in_soak)),
        arms=_view_arms(record, log_summary),
        rules=tuple(_view_rules(record, in_soak)),
        pass_threshold=log(1 / policy.pass_alpha),
        disagreement=_describe_disagreement(record, in_soak),
        evidence_points=tuple(_view_evidence(one) for one in log_summary.points if one.tests),
        arm_points=tuple(_view_arm_points(log_summary.points)),
        decisions=tuple(reversed(log_summary.entries)),
    )


def _view_stages(record: RolloutRecord, in_soak: bool) -> Iterator[StageView]:
    state, policy = record.state, record.policy
    current = len(policy.stages) if in_soak else state.stage
    if state.phase is Phase.PENDING:
        current = -1
    elif state.phase is Phase.DONE:
        current += 1
    for place, stage in enumerate(policy.stages):
        requires = (*stage.passes, *(["approval"] if stage.approve else []))
        stage_state = _find_stage_state(place, current, record)
        yield StageView(stage.name, stage.weight, stage.min, stage.max, requires, stage_state)
    stage_state = _find_stage_state(len(policy.stages), current, record)
    yield StageView(SOAK, 1.0, policy.soak, policy.soak, (), stage_state)


def _find_stage_state(place: int, current: int, record: RolloutRecord) -> StageState:
    if place != current:
        return StageState.PAST if place < current else StageState.AHEAD
    stopped = record.is_beaten or record.state.phase is Phase.ABORTED
    return StageState.STOPPED if stopped else StageState.NOW


def _view_arms(record: RolloutRecord, log_summary: LogSummary) -> tuple[ArmView, ...]:
    candidate, champion = log_summary.counts.get(log_summary.stage, NO_REQUESTS)
    weight = record.state.weight(record.policy)
    return (
        _view_arm("candidate", record.candidate, weight, candidate),
        _view_arm("champion", record.champion, 1 - weight, champion),
    )


def _view_arm(name: str, version: int, share: float, counts: StageCounts) -> ArmView:
    quantile = bound_quantile(counts.latencies)
    errors = _bound_rate(counts.failures, counts.requests)
    p95 = Interval(*quantile) if quantile else None
    return ArmView(name, version, share, counts.requests, counts.failures, errors, p95)


def _bound_rate(hits: float, trials: float) -> Interval | None:
    return Interval(*bound_rate(hits, trials)) if trials > 0 else None


def _view_rules(record: RolloutRecord, in_soak: bool) -> Iterator[RuleView]:
    state, policy = record.state, record.policy
    tests = describe_tests(state, policy)
    required = () if in_soak or state.phase.is_final else policy.stages[state.stage].passes
    for rule in list_rules(policy):
        test, evidence = tests[rule.name], state.observation.evidence[rule.name]
        rollback, history = evidence.rollback, evidence.history
        yield RuleView(
            name=rule.name,
            action=rule.action,
            evidence=test["wealth"] or 0.0,
            threshold=rule.threshold,
            pass_evidence=test["pass"],
            is_required=rule.name in required,
            candidate=_bound_rate(float(rollback.failures), float(rollback.requests)),
            champion=_bound_rate(float(history.k.sum()), float(history.n.sum())),
            limit=test["limit"] or 0.0,
            waived=rule.name in state.observation.waived,
        )


def _describe_disagreement(record: RolloutRecord, in_soak: bool) -> str:
    """Describe the disagreement in shadow; empty where the stage does not require it."""
    policy, state = record.policy, record.state
    if in_soak or "disagreement" not in policy.stages[state.stage].passes:
        return ""
    value, threshold = float(state.observation.disagreement.log_value), log(1 / policy.pass_alpha)
    limit = 100 * policy.rules.disagreement.limit
    return (
        f"Answers that differ from the champion's: limit {limit:.0f} %, "
        f"to pass: {write_fixed(value, 2)} of {threshold:.2f}."
    )


def _view_evidence(point: LogPoint) -> EvidencePoint:
    against = {name: test[0] for name, test in point.tests.items() if isfinite(test[0])}
    in_favour = {name: test[1] for name, test in point.tests.items()}
    return EvidencePoint(point.at.timestamp(), point.stage, against, in_favour)


def _view_arm_points(points: list[LogPoint]) -> Iterator[ArmsPoint]:
    """Merge points into stretches of equal length, so that each has enough requests."""
    if not points:
        return
    first, last = points[0].at.timestamp(), points[-1].at.timestamp()
    length = max((last - first) / STRETCHES, 1e-9)
    stretch, counts = 0, NO_REQUESTS
    for point in points:
        reached = int((point.at.timestamp() - first) / length)
        if reached != stretch:
            yield _view_arm_point(first + (stretch + 0.5) * length, counts)
            stretch, counts = reached, NO_REQUESTS
        counts = counts[0].add(point.candidate), counts[1].add(point.champion)
    yield _view_arm_point(first + (stretch + 0.5) * length, counts)


def _view_arm_point(at: float, counts: ArmPair) -> ArmsPoint:
    errors = [arm.failures / arm.requests if arm.requests > 0 else None for arm in counts]
    buckets = [find_quantile([arm.latencies]) for arm in counts]
    p95 = [None if bucket is None else edge_of(bucket) for bucket in buckets]
    return ArmsPoint(at, (errors[0], errors[1]), (p95[0], p95[1]))


def list_choices(record: RolloutRecord | None, missing: str) -> Iterator[CommandChoice]:
    """Return every command with its availability; `missing` says why no rollout is open."""
    for action, meaning in MEANINGS.items():
        yield CommandChoice(action.value, meaning, _refuse(action, record) if record else missing)


def _refuse(action: Action, record: RolloutRecord) -> str:
    """Return why a command is unavailable; empty where it is available."""
    phase = record.state.phase
    if phase in ALLOWED[action]:
        return _refuse_approval(record) if action is Action.APPROVE else ""
    if action is Action.RESUME:
        return "it is not paused"
    return "it is paused already" if phase is Phase.PAUSED else f"not while it is {phase}"


def _refuse_approval(record: RolloutRecord) -> str:
    if not record.policy.stages[record.state.stage].approve:
        return "this stage requires no approval"
    return "this stage is approved already" if record.state.approved else ""
