"""The panels of a service: its rollout, decisions, commands and earlier rollouts."""

from collections.abc import Iterator
from math import ceil

from serving.page.markup import Html, element, join, render_code
from serving.page.view import DecisionEntry, RolloutView, ServiceView, StageState, StageView
from serving.page.wording import write_seconds, write_share, write_time, write_version
from sluice.control.command import RecordedCommand
from sluice.rollout.record import RolloutSummary
from sluice.rollout.state import Verb

SHOWN = 10
"""Decisions that are shown at once; the others unfold."""
ANSWERS = {"obey": "obeyed", "refuse": "refused"}


def render_phase(phase: str) -> Html:
    """Render a phase as a coloured label."""
    name = phase or "no rollout"
    return element("span", name, class_=f"phase {name.replace(' ', '-')}")


def render_head(view: ServiceView) -> Html:
    """Render the champion, and the phase and stages of the rollout that is shown."""
    serves = element("p", "champion ", element("b", write_version(view.champion)), class_="serves")
    title = element("div", element("h1", view.service), serves, class_="title")
    rollout = view.rollout
    if rollout is None:
        command = element("code", f"sluice rollout {view.service}")
        return join(title, element("p", "No rollout yet. Start one: ", command, class_="reason"))
    summary = rollout.summary
    tried = f"{write_version(summary.candidate)} beside {write_version(summary.champion)}"
    versions = join(render_phase(str(summary.phase)), " ", element("b", tried))
    weight = element("span", element("b", write_share(rollout.weight)), " of traffic")
    is_newest = summary.number == view.rollouts[0].number
    return join(
        title,
        element("p", versions, weight, class_="state"),
        _render_reason(rollout),
        render_next(rollout.next_step, rollout.needs_person) if is_newest else None,
        element("ol", *(_render_stage(one, rollout) for one in rollout.stages), class_="track"),
        element("dl", *_list_facts(view, rollout), class_="facts"),
    )


def _render_reason(rollout: RolloutView) -> Html | None:
    says_nothing = rollout.reason in ("", rollout.summary.phase)
    return None if says_nothing else element("p", rollout.reason, class_="reason")


def render_next(text: str, is_urgent: bool) -> Html | None:
    """Render what a person can do now, each command as code to copy; None where nothing."""
    if not text:
        return None
    kind = "next urgent" if is_urgent else "next"
    return element("p", element("b", "Next: "), render_code(text), class_=kind)


def _render_stage(stage: StageView, rollout: RolloutView) -> Html:
    length = write_seconds(stage.min_seconds)
    if stage.max_seconds > stage.min_seconds:
        length = f"{length} to {write_seconds(stage.max_seconds)}"
    requires = f"requires {', '.join(stage.requires)}" if stage.requires else ""
    bar = None
    if stage.state in (StageState.NOW, StageState.STOPPED):
        done = min(rollout.blocks, rollout.max_blocks)
        progress = "stopped at " if stage.state is StageState.STOPPED else ""
        progress += f"block {rollout.blocks:,} of {rollout.min_blocks:,}"
        if rollout.max_blocks > rollout.min_blocks:
            progress += f" to {rollout.max_blocks:,}"
        bar = join(
            element("progress", value=done, max=rollout.max_blocks, aria_label=progress),
            element("small", progress),
        )
    return element(
        "li",
        element("b", stage.name),
        " ",
        element("span", write_share(stage.weight)),
        element("small", length),
        element("small", requires, class_="requires") if requires else None,
        bar,
        class_=stage.state,
        aria_current="step" if stage.state is StageState.NOW else None,
    )


def _list_facts(view: ServiceView, rollout: RolloutView) -> Iterator[Html]:
    summary = rollout.summary
    facts: list[tuple[str, Html | str]] = [
        ("rollout", f"{summary.number}, policy {rollout.policy}"),
        ("opened, UTC", write_time(summary.opened)),
    ]
    if summary.ended:
        facts.append(("ended", write_time(summary.ended)))
    else:
        stage = join(rollout.stage, " since ", write_time(rollout.stage_since))
        facts.append(("stage", stage if rollout.stage else "not started"))
        facts.append(("phase since", write_time(rollout.phase_since)))
        age = max(0, ceil(view.heartbeat.tick_age - 1))
        facts.append(
            ("last tick", f"{write_seconds(age)} ago, one every {write_seconds(rollout.block)}")
        )
        facts.append(("controller", view.heartbeat.controller or "none"))
    facts.append(("epoch", str(rollout.epoch)))
    for name, value in facts:
        yield element("div", element("dt", name), element("dd", value))


def render_alerts(view: ServiceView) -> Html:
    """Render what a person has to know before anything else."""
    newest = view.rollouts[0] if view.rollouts else None
    shown = view.rollout.summary if view.rollout else None
    alerts = []
    if view.conflict:
        text = f"Conflict: {view.conflict}."
        alerts.append(element("p", text, class_="alert", role="alert"))
    if view.heartbeat.warning and shown and shown.ended is None:
        alerts.append(element("p", view.heartbeat.warning, class_="alert", role="alert"))
    if newest and shown and newest.number != shown.number:
        link = element("a", f"rollout {newest.number}", href=f"/services/{view.service}")
        text = join(f"This is rollout {shown.number}. The last one is ", link, ".")
        alerts.append(element("p", text, class_="note"))
    return join(*alerts)


def render_log(rollout: RolloutView) -> Html:
    """Render the decisions, newest first."""
    entries = [_render_entry(entry) for entry in rollout.decisions]
    if not entries:
        return join(element("h2", "Decisions"), element("p", "None yet.", class_="faint"))
    return join(element("h2", "Decisions"), *fold(entries, SHOWN, "decisions"))


def fold(items: list[Html], shown: int, what: str) -> Iterator[Html]:
    """Render a list whose later part unfolds."""
    yield element("ol", *items[:shown], class_="log")
    if len(items) > shown:
        label = element("summary", f"{len(items) - shown:,} earlier")
        more = element("ol", *items[shown:], class_="log")
        yield element("details", label, more, id=f"earlier-{what}")


def _render_entry(entry: DecisionEntry) -> Html:
    times = f" {entry.count:,} times" if entry.count > 1 else ""
    when = write_time(entry.at)
    if entry.count > 1:
        when = join(when, " to ", write_time(entry.until))
    origin = f"by {entry.by}" if entry.by else f"rule {entry.rule}" if entry.rule else ""
    by = element("span", origin, class_="by") if origin else None
    verb = element("b", entry.verb, class_=f"verb {entry.verb.replace(' ', '-')}")
    first = element("div", element("span", verb, times), element("small", when), class_="when")
    where = entry.phase if entry.stage in ("", entry.phase) else f"{entry.phase}, {entry.stage}"
    last = element("div", element("small", where), by, class_="who")
    reason = element("p", entry.reason, title=entry.reason if entry.verb == Verb.HOLD else None)
    return element("li", first, reason, last)


def render_commands(commands: tuple[RecordedCommand, ...]) -> Html:
    """Render the last commands and their answers."""
    if not commands:
        return join(element("h2", "Commands"), element("p", "None yet.", class_="faint"))
    items = [_render_command(command) for command in commands]
    return join(element("h2", "Commands"), *fold(items, SHOWN // 2, "commands"))


def _render_command(command: RecordedCommand) -> Html:
    answer = ANSWERS.get(command.answer, "waits for its controller")
    when = join(element("b", command.action), element("small", write_time(command.at)))
    where = f"rollout {command.number}" if command.number else "without a rollout"
    message = "" if command.answer == "obey" else command.message
    return element(
        "li",
        element("div", when, class_="when"),
        element("p", command.reason),
        element(
            "div",
            element("span", answer, class_=f"answer {command.answer or 'open'}"),
            element("span", f"by {command.by}, {where}", class_="by"),
            class_="who",
        ),
        element("p", message, class_="message") if message else None,
    )


def render_rollouts(view: ServiceView) -> Html:
    """Render the list of the service's rollouts, each with a link to its page."""
    if not view.rollouts:
        return join(element("h2", "Rollouts"), element("p", "None yet.", class_="faint"))
    shown = view.rollout.summary.number if view.rollout else 0
    rows = [_render_summary(one, one.number == shown) for one in view.rollouts]
    table = element("table", element("tbody", *rows), class_="rollouts")
    return join(element("h2", "Rollouts"), element("div", table, class_="wide"))


def _render_summary(summary: RolloutSummary, is_shown: bool) -> Html:
    address = f"/services/{summary.service}/{summary.number}"
    tried = f"{write_version(summary.candidate)} beside {write_version(summary.champion)}"
    link = element("a", str(summary.number), href=address)
    cells = (link, tried, render_phase(str(summary.phase)), write_time(summary.opened))
    chosen = "true" if is_shown else None
    return element("tr", *(element("td", cell) for cell in cells), aria_current=chosen)
