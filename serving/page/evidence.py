"""Both arms and every rule of a rollout, in figures and drawn over time."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from serving.page.chart import Frame, Level, Series, Spot, draw_chart
from serving.page.markup import Html, element, join
from serving.page.view import ArmView, RolloutView, RuleView, Span
from serving.page.wording import write_milliseconds, write_rate, write_share, write_version

FLOOR = -1.5
"""Evidence below it is drawn at the edge: there, nothing is near."""
ROOM = 1.12
CANDIDATE, CHAMPION = 0, 1


def render_arms(rollout: RolloutView) -> Html:
    """Give both arms' figures of the stage under way, and their course."""
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
    spans = rollout.spans
    if len(spans) < 2:
        return
    errors = [_scale_pair(span.errors) for span in spans]
    times = [span.p95_ms for span in spans]
    for title, pairs in (("Errors, %", errors), ("P95, ms", times)):
        known = [value for pair in pairs for value in pair if value is not None]
        if not known:
            continue
        frame = Frame(spans[0].at, spans[-1].at, 0.0, max(max(known) * ROOM, 0.1))
        lines = [
            Series("champion", (_spots(spans, pairs, CHAMPION),)),
            Series("candidate", (_spots(spans, pairs, CANDIDATE),)),
        ]
        drawn = draw_chart(f"{title}, of both arms over time", frame, lines)
        yield element("figure", element("figcaption", title), drawn)


def _scale_pair(pair: tuple[float | None, float | None]) -> tuple[float | None, float | None]:
    first, second = (None if value is None else 100 * value for value in pair)
    return first, second


def _spots(
    spans: Sequence[Span], pairs: Sequence[tuple[float | None, float | None]], place: int
) -> tuple[Spot, ...]:
    return tuple((span.at, pair[place]) for span, pair in zip(spans, pairs, strict=True))


def render_rules(rollout: RolloutView) -> Html:
    """Give each rule's evidence against its thresholds; rules that saw nothing in one line."""
    counted = [rule for rule in rollout.rules if rule.candidate or _has_moved(rule, rollout)]
    silent = [rule.name for rule in rollout.rules if rule not in counted]
    legend = element(
        "p",
        "Evidence as a natural logarithm: ",
        element("span", "against the candidate", class_="stop"),
        ", which stops it at its threshold, and ",
        element("span", "for it", class_="pass"),
        ", where a stage asks for the rule. Each stage begins anew.",
        class_="faint",
    )
    cards = [_render_rule(rule, rollout) for rule in counted]
    return join(
        element("h2", "Evidence"),
        legend if counted else element("p", "No rule has seen a request yet.", class_="faint"),
        element("div", *cards, class_="charts"),
        element("p", rollout.disagreement) if rollout.disagreement else None,
        element("p", f"Nothing counted: {', '.join(silent)}.", class_="faint")
        if silent and counted
        else None,
    )


def _has_moved(rule: RuleView, rollout: RolloutView) -> bool:
    """Whether the rule had evidence in an earlier stage."""
    return any(abs(mark.against.get(rule.name, 0.0)) > 1e-9 for mark in rollout.marks)


def _render_rule(rule: RuleView, rollout: RolloutView) -> Html:
    beyond = rule.evidence >= rule.stops_at and not rule.waived
    state = "beyond" if beyond else "waived" if rule.waived else ""
    words = f"{rule.evidence:.2f} of {rule.stops_at:.2f}"
    if rule.waived:
        words += ", overridden for this stage"
    asked = None
    if rule.is_asked:
        found = "not yet" if rule.passing is None else f"{rule.passing:.2f}"
        asked = element("span", f"to pass: {found} of {rollout.passes_at:.2f}", class_="pass")
    caption = element(
        "figcaption", element("b", rule.name), " ", element("span", words, class_="stop"), asked
    )
    rates = element(
        "p",
        element("small", "candidate "),
        write_rate(rule.candidate),
        element("small", " champion "),
        write_rate(rule.champion),
        element("small", f" limit {100 * rule.limit:.2f} %"),
        class_="rates",
    )
    return element("figure", caption, _draw_rule(rule, rollout), rates, class_=state or None)


def _draw_rule(rule: RuleView, rollout: RolloutView) -> Html | None:
    """Draw both lines, each stage apart; the one in favour only where the stage asks."""
    marks = rollout.marks
    if len(marks) < 2:
        return None
    asking = {stage.name for stage in rollout.stages if rule.name in stage.asks}
    wanted = rollout.passes_at
    high = max(rule.stops_at, wanted if asking else 0.0) * ROOM
    frame = Frame(marks[0].at, marks[-1].at, FLOOR, high)
    levels = [Level("stop", rule.stops_at, f"{rule.stops_at:.1f}")]
    if asking:
        levels.append(Level("pass", wanted, f"{wanted:.1f}"))
    stages = [(name, list(group)) for name, group in groupby(marks, lambda mark: mark.stage)]
    against = tuple(
        tuple((mark.at, mark.against.get(rule.name)) for mark in group) for _, group in stages
    )
    in_favour = tuple(
        tuple((mark.at, mark.in_favour.get(rule.name)) for mark in group)
        for name, group in stages
        if name in asking
    )
    borders = [(group[0].at, name) for name, group in stages]
    lines = [Series("pass", in_favour), Series("stop", against)]
    return draw_chart(f"Evidence of {rule.name} over time", frame, lines, levels, borders)
