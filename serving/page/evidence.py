"""The panels of both arms and of every rule: figures, and charts over time."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from serving.page.chart import Frame, Level, Series, Spot, draw_chart
from serving.page.markup import Html, element, join
from serving.page.view import ArmsPoint, ArmView, RolloutView, RuleView
from serving.page.wording import write_milliseconds, write_rate, write_share, write_version
from sluice.rounding import write_fixed

FLOOR = -1.5
"""Evidence below it is drawn at the edge of the chart; it is far from every threshold."""
ROOM = 1.12
"""Height of a chart, as a multiple of its highest figure."""
CANDIDATE, CHAMPION = 0, 1


def render_arms(rollout: RolloutView) -> Html:
    """Render both arms' figures in the current stage, and charts of the whole rollout."""
    names = ("arm", "share", "requests", "errors", "P95")
    head = element("tr", *(element("th", name, scope="col") for name in names))
    rows = [_render_arm(arm) for arm in rollout.arms]
    table = element("table", element("thead", head), element("tbody", *rows), class_="arms")
    stage = rollout.stage or "no stage yet"
    return join(
        element("h2", "Both arms", " ", element("small", f"in {stage}, 95 % intervals")),
        element("div", table, class_="wide"),
        element("div", *_draw_arms(rollout), class_="charts pair"),
    )


def _render_arm(arm: ArmView) -> Html:
    name = join(element("i", class_=f"key {arm.arm}"), f"{arm.arm} {write_version(arm.version)}")
    cells = (
        write_share(arm.share),
        f"{arm.requests:,.0f}",
        write_rate(arm.errors),
        write_milliseconds(arm.p95_ms),
    )
    return element("tr", element("th", name, scope="row"), *(element("td", one) for one in cells))


def _draw_arms(rollout: RolloutView) -> Iterator[Html]:
    points = rollout.arm_points
    if len(points) < 2:
        return
    errors = [_scale_pair(point.errors) for point in points]
    times = [point.p95_ms for point in points]
    for title, pairs in (("Errors, %", errors), ("P95, ms", times)):
        known = [value for pair in pairs for value in pair if value is not None]
        if not known:
            continue
        frame = Frame(points[0].at, points[-1].at, 0.0, max(max(known) * ROOM, 0.1))
        lines = [
            Series("champion", (_list_spots(points, pairs, CHAMPION),)),
            Series("candidate", (_list_spots(points, pairs, CANDIDATE),)),
        ]
        chart = draw_chart(f"{title}, of both arms over time", frame, lines)
        yield element("figure", element("figcaption", title), chart)


def _scale_pair(pair: tuple[float | None, float | None]) -> tuple[float | None, float | None]:
    first, second = (None if value is None else 100 * value for value in pair)
    return first, second


def _list_spots(
    points: Sequence[ArmsPoint], pairs: Sequence[tuple[float | None, float | None]], arm: int
) -> tuple[Spot, ...]:
    return tuple((point.at, pair[arm]) for point, pair in zip(points, pairs, strict=True))


def render_rules(rollout: RolloutView) -> Html:
    """Render each rule's evidence and thresholds; rules without requests share one line."""
    counted = [rule for rule in rollout.rules if rule.candidate or _has_moved(rule, rollout)]
    silent = [rule.name for rule in rollout.rules if rule not in counted]
    legend = element(
        "p",
        "Evidence is a natural logarithm: ",
        element("span", "against the candidate", class_="stop"),
        " (the rule acts at its threshold) and ",
        element("span", "for it", class_="pass"),
        " (where a stage requires the rule to be passed). Each stage starts from zero.",
        class_="faint",
    )
    cards = [_render_rule(rule, rollout) for rule in counted]
    return join(
        element("h2", "Evidence"),
        legend if counted else element("p", "No rule has seen a request yet.", class_="faint"),
        element("div", *cards, class_="charts"),
        element("p", rollout.disagreement) if rollout.disagreement else None,
        element("p", f"Rules without a request yet: {', '.join(silent)}.", class_="faint")
        if silent and counted
        else None,
    )


def _has_moved(rule: RuleView, rollout: RolloutView) -> bool:
    """Whether the rule had evidence in an earlier stage."""
    points = rollout.evidence_points
    return any(abs(point.against.get(rule.name, 0.0)) > 1e-9 for point in points)


def _render_rule(rule: RuleView, rollout: RolloutView) -> Html:
    beyond = rule.evidence >= rule.threshold and not rule.waived
    state = "beyond" if beyond else "waived" if rule.waived else ""
    against = f"{write_fixed(rule.evidence, 2)} of {rule.threshold:.2f}"
    if rule.waived:
        against += ", waived for this stage"
    to_pass = None
    if rule.is_required:
        reached = "none yet" if rule.pass_evidence is None else write_fixed(rule.pass_evidence, 2)
        text = f"to pass: {reached} of {rollout.pass_threshold:.2f}"
        to_pass = element("span", text, class_="pass")
    caption = element(
        "figcaption", element("b", rule.name), " ", element("span", against, class_="stop"), to_pass
    )
    rates = element(
        "p",
        element("span", element("small", "candidate "), write_rate(rule.candidate)),
        " ",
        element("span", element("small", "champion "), write_rate(rule.champion)),
        " ",
        element("small", f"limit {100 * rule.limit:.2f} %"),
        class_="rates",
    )
    return element("figure", caption, _draw_rule(rule, rollout), rates, class_=state or None)


def _draw_rule(rule: RuleView, rollout: RolloutView) -> Html | None:
    """Draw the evidence by stage; in favour only where the stage requires the rule."""
    points = rollout.evidence_points
    if len(points) < 2:
        return None
    requiring = {stage.name for stage in rollout.stages if rule.name in stage.requires}
    high = max(rule.threshold, rollout.pass_threshold if requiring else 0.0) * ROOM
    frame = Frame(points[0].at, points[-1].at, FLOOR, high)
    levels = [Level("stop", rule.threshold, f"{rule.threshold:.1f}")]
    if requiring:
        levels.append(Level("pass", rollout.pass_threshold, f"{rollout.pass_threshold:.1f}"))
    stages = [(name, list(group)) for name, group in groupby(points, lambda point: point.stage)]
    against = tuple(
        tuple((point.at, point.against.get(rule.name)) for point in group) for _, group in stages
    )
    in_favour = tuple(
        tuple((point.at, point.in_favour.get(rule.name)) for point in group)
        for name, group in stages
        if name in requiring
    )
    borders = [(group[0].at, name) for name, group in stages]
    lines = [Series("pass", in_favour), Series("stop", against)]
    return draw_chart(f"Evidence of {rule.name} over time", frame, lines, levels, borders)
