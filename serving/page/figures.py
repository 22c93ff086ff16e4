"""A rollout's figures and possible commands as the page shows them, from its state and log."""

from collections.abc import Iterator
from math import isfinite, log

from serving.page.view import (
    SOAK,
    ArmView,
    Bound,
    CommandChoice,
    Mark,
    Point,
    RolloutView,
    RuleView,
    Span,
    StageCounts,
    StageState,
    StageView,
    Story,
)
from sluice.report.rollout import bound_rate
from sluice.rollout.latency import bound_quantile, edge_of, find_quantile
from sluice.rollout.log import describe_tests
from sluice.rollout.record import RolloutRecord, RolloutSummary
from sluice.rollout.rules import list_rules
from sluice.rollout.state import ALLOWED, Action, Phase

SPANS = 24
"""Stretches of time that the arms' figures are drawn with."""


def view_rollout(outline: RolloutSummary, course: RolloutRecord, story: Story) -> RolloutView:
    """Give one rollout as it stood."""
    state, policy = course.state, course.policy
    in_soak, stage = story.stage == SOAK, policy.stages[state.stage]
    least, most = (policy.soak, policy.soak) if in_soak else (stage.min, stage.max)
    blocks = state.soak.blocks if in_soak and state.soak else state.seen.blocks
    return RolloutView(
        outline=outline,
        reason=state.reason,
        policy=policy.policy,
        block=policy.block,
        stage=story.stage,
        weight=state.weight(policy),
        blocks=blocks,
        blocks_least=policy.count_blocks(least),
        blocks_most=policy.count_blocks(most),
        stage_since=story.stage_since,
        phase_since=story.phase_since,
        epoch=state.epoch,
        stages=tuple(_view_stages(course, story)),
        arms=_view_arms(course, story),
        rules=tuple(_view_rules(course, in_soak)),
        passes_at=log(1 / policy.pass_alpha),
        disagreement=_tell_disagreement(course, in_soak),
        marks=tuple(_mark(point) for point in story.points if point.tests),
        spans=tuple(_view_spans(story.points)),
        decisions=tuple(reversed(story.entries)),
    )


def _view_stages(course: RolloutRecord, story: Story) -> Iterator[StageView]:
    state, policy = course.state, course.policy
    here = len(policy.stages) if story.stage == SOAK else state.stage
    if state.phase is Phase.PENDING:
        here = -1
    elif state.phase is Phase.DONE:
        here += 1
    for place, stage in enumerate(policy.stages):
        asks = (*stage.passes, *(["approval"] if stage.approve else []))
        now = _place_stage(place, here, course)
        yield StageView(stage.name, stage.weight, stage.min, stage.max, asks, now)
    now = _place_stage(len(policy.stages), here, course)
    yield StageView(SOAK, 1.0, policy.soak, policy.soak, (), now)


def _place_stage(place: int, here: int, course: RolloutRecord) -> StageState:
    if place != here:
        return StageState.PAST if place < here else StageState.AHEAD
    stopped = course.is_beaten or course.state.phase is Phase.ABORTED
    return StageState.STOPPED if stopped else StageState.NOW


def _view_arms(course: RolloutRecord, story: Story) -> tuple[ArmView, ...]:
    candidate, champion = story.tallies.get(story.stage, (StageCounts(), StageCounts()))
    weight = course.state.weight(course.policy)
    return (
        _view_arm("candidate", course.candidate, weight, candidate),
        _view_arm("champion", course.champion, 1 - weight, champion),
    )


def _view_arm(name: str, version: int, share: float, seen: StageCounts) -> ArmView:
    quantile = bound_quantile(seen.latencies)
    errors = _bound(seen.failures, seen.requests)
    p95 = Bound(*quantile) if quantile else None
    return ArmView(name, version, share, seen.requests, seen.failures, errors, p95)


def _bound(hits: float, trials: float) -> Bound | None:
    return Bound(*bound_rate(hits, trials)) if trials > 0 else None


def _view_rules(course: RolloutRecord, in_soak: bool) -> Iterator[RuleView]:
    state, policy = course.state, course.policy
    told = describe_tests(state, policy)
    asked = () if in_soak or state.phase.is_final else policy.stages[state.stage].passes
    for rule in list_rules(policy):
        one, seen = told[rule.name], state.seen.evidence[rule.name]
        test, history = seen.rollback, seen.history
        yield RuleView(
            name=rule.name,
            action=rule.action,
            evidence=one["wealth"] or 0.0,
            stops_at=rule.threshold,
            passing=one["pass"],
            is_asked=rule.name in asked,
            candidate=_bound(float(test.failures), float(test.requests)),
            champion=_bound(float(history.k.sum()), float(history.n.sum())),
            limit=one["limit"] or 0.0,
            waived=rule.name in state.seen.waived,
        )


def _tell_disagreement(course: RolloutRecord, in_soak: bool) -> str:
    """Say how far the answers in shadow agree; empty where no stage under way asks."""
    policy, state = course.policy, course.state
    if in_soak or "disagreement" not in policy.stages[state.stage].passes:
        return ""
    value, wanted = float(state.seen.disagreement.log_value), log(1 / policy.pass_alpha)
    limit = policy.rules.disagreement.limit
    return (
        f"Answers that differ from the champion's: at most {limit:.0%}; evidence {value:.2f} "
        f"of {wanted:.2f}."
    )


def _mark(point: Point) -> Mark:
    against = {name: one[0] for name, one in point.tests.items() if isfinite(one[0])}
    in_favour = {name: one[1] for name, one in point.tests.items()}
    return Mark(point.at.timestamp(), point.stage, against, in_favour)


def _view_spans(points: list[Point]) -> Iterator[Span]:
    """Merge points into stretches of equal length, so that a stretch has requests enough."""
    if not points:
        return
    first, last = points[0].at.timestamp(), points[-1].at.timestamp()
    length = max((last - first) / SPANS, 1e-9)
    place, seen = 0, (StageCounts(), StageCounts())
    for point in points:
        here = int((point.at.timestamp() - first) / length)
        if here != place:
            yield _view_span(first + (place + 0.5) * length, seen)
            place, seen = here, (StageCounts(), StageCounts())
        seen = seen[0].add(point.candidate), seen[1].add(point.champion)
    yield _view_span(first + (place + 0.5) * length, seen)


def _view_span(at: float, seen: tuple[StageCounts, StageCounts]) -> Span:
    errors = [arm.failures / arm.requests if arm.requests > 0 else None for arm in seen]
    buckets = [find_quantile([arm.latencies]) for arm in seen]
    p95 = [None if bucket is None else edge_of(bucket) for bucket in buckets]
    return Span(at, (errors[0], errors[1]), (p95[0], p95[1]))


MEANINGS = {
    Action.PAUSE: "Keeps the weight. The tests go on and can still roll back.",
    Action.RESUME: "Goes on after a pause; a rule that caused it is waived for this stage.",
    Action.SKIP: "Enters the next stage without the proof that this one asks for.",
    Action.APPROVE: "Says the yes that this stage asks for.",
    Action.PROMOTE: "Gives the candidate all traffic now, without the stages that are left.",
    Action.ROLL_BACK: "Gives the champion all traffic; the candidate has failed.",
    Action.ABORT: "Ends the rollout; the champion serves, the candidate is not blamed.",
}


def list_choices(course: RolloutRecord | None, missing: str) -> Iterator[CommandChoice]:
    """Give every command as it stands towards a rollout; `missing` says why there is none."""
    for action, meaning in MEANINGS.items():
        why_not = _say_why_not(action, course) if course else missing
        yield CommandChoice(action.value, meaning, why_not)


def _say_why_not(action: Action, course: RolloutRecord) -> str:
    phase = course.state.phase
    if phase in ALLOWED[action]:
        return _say_not_asked(course) if action is Action.APPROVE else ""
    if action is Action.RESUME:
        return "it is not paused"
    return "it is paused already" if phase is Phase.PAUSED else f"not while it is {phase}"


def _say_not_asked(course: RolloutRecord) -> str:
    """Say why no approval is asked for; empty where one is."""
    if not course.policy.stages[course.state.stage].approve:
        return "this stage asks for no approval"
    return "this stage is approved already" if course.state.approved else ""
