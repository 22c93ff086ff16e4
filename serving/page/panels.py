"""The page's panels about one service: where its rollout is, what was decided, what was before."""

from collections.abc import Iterator
from math import ceil

from serving.page.markup import Html, element, join
from serving.page.reading import say_seconds
from serving.page.view import DecisionEntry, RolloutView, ServiceView, StageState, StageView
from serving.page.wording import write_share, write_time, write_version
from sluice.control.command import RecordedCommand
from sluice.rollout.record import RolloutSummary
from sluice.rollout.state import Verb

SHOWN = 10
"""Decisions that are shown at once; the others unfold."""


def render_phase(phase: str) -> Html:
    """Give a phase as a coloured word."""
    words = phase or "no rollout"
    return element("span", words, class_=f"phase {words.replace(' ', '-')}")


def render_head(view: ServiceView) -> Html:
    """Give what serves, and where the rollout is that is looked at."""
    serves = element("p", "champion ", element("b", write_version(view.champion)), class_="serves")
    title = element("div", element("h1", view.service), serves, class_="title")
    rollout = view.rollout
    if rollout is None:
        words = "No rollout yet. Begin one: "
        command = element("code", f"sluice rollout {view.service}")
        return join(title, element("p", words, command, class_="reason"))
    outline = rollout.outline
    tried = f"{write_version(outline.candidate)} beside {write_version(outline.champion)}"
    words = join(render_phase(str(outline.phase)), " ", element("b", tried))
    weight = element("span", element("b", write_share(rollout.weight)), " of traffic")
    return join(
        title,
        element("p", words, weight, class_="state"),
        _render_reason(rollout),
        element("ol", *(_render_stage(one, rollout) for one in rollout.stages), class_="track"),
        element("dl", *_list_facts(view, rollout), class_="facts"),
    )


def _render_reason(rollout: RolloutView) -> Html | None:
    plain = rollout.reason in ("", rollout.outline.phase)
    return None if plain else element("p", rollout.reason, class_="reason")


def _render_stage(stage: StageView, rollout: RolloutView) -> Html:
    length = say_seconds(stage.least)
    if stage.most > stage.least:
        length = f"{length} to {say_seconds(stage.most)}"
    asks = f"asks {', '.join(stage.asks)}" if stage.asks else ""
    bar = None
    if stage.state in (StageState.NOW, StageState.STOPPED):
        done = min(rollout.blocks, rollout.blocks_most)
        told = "stopped at " if stage.state is StageState.STOPPED else ""
        told += f"block {rollout.blocks:,} of {rollout.blocks_least:,}"
        if rollout.blocks_most > rollout.blocks_least:
            told += f" to {rollout.blocks_most:,}"
        bar = join(
            element("progress", value=done, max=rollout.blocks_most, aria_label=told),
            element("small", told),
        )
    return element(
        "li",
        element("b", stage.name),
        " ",
        element("span", write_share(stage.weight)),
        element("small", length),
        element("small", asks, class_="asks") if asks else None,
        bar,
        class_=stage.state,
        aria_current="step" if stage.state is StageState.NOW else None,
    )


def _list_facts(view: ServiceView, rollout: RolloutView) -> Iterator[Html]:
    outline = rollout.outline
    facts: list[tuple[str, Html | str]] = [
        ("rollout", f"{outline.number}, policy {rollout.policy}"),
        ("opened, UTC", write_time(outline.opened)),
    ]
    if outline.ended:
        facts.append(("ended", write_time(outline.ended)))
    else:
        stage = join(rollout.stage, " since ", write_time(rollout.stage_since))
        facts.append(("stage", stage if rollout.stage else "not yet begun"))
        facts.append(("phase since", write_time(rollout.phase_since)))
        age = max(0, ceil(view.pulse.tick_age - 1))
        facts.append(
            ("last tick", f"{say_seconds(age)} ago, one each {say_seconds(rollout.block)}")
        )
        facts.append(("controller", view.pulse.controller or "none"))
    facts.append(("epoch", str(rollout.epoch)))
    for name, value in facts:
        yield element("div", element("dt", name), element("dd", value))


def render_alerts(view: ServiceView) -> Html:
    """Give what a person has to know before anything else."""
    newest = view.rollouts[0] if view.rollouts else None
    looked_at = view.rollout.outline if view.rollout else None
    drawn = []
    if view.pulse.warning and looked_at and looked_at.ended is None:
        drawn.append(element("p", view.pulse.warning, class_="alert", role="alert"))
    if newest and looked_at and newest.number != looked_at.number:
        link = element("a", f"rollout {newest.number}", href=f"/services/{view.service}")
        words = join(f"This is rollout {looked_at.number}. The last one is ", link, ".")
        drawn.append(element("p", words, class_="note"))
    return join(*drawn)


def render_log(rollout: RolloutView) -> Html:
    """Give the decisions, newest first."""
    entries = [_render_entry(entry) for entry in rollout.decisions]
    if not entries:
        return join(element("h2", "Decisions"), element("p", "None yet.", class_="faint"))
    return join(element("h2", "Decisions"), *_fold(entries, SHOWN, "decisions"))


def _fold(items: list[Html], shown: int, what: str) -> Iterator[Html]:
    """Give a list whose later part unfolds."""
    yield element("ol", *items[:shown], class_="log")
    if len(items) > shown:
        words = element("summary", f"{len(items) - shown:,} earlier")
        more = element("ol", *items[shown:], class_="log")
        yield element("details", words, more, id=f"earlier-{what}")


def _render_entry(entry: DecisionEntry) -> Html:
    times = f" {entry.times:,} times" if entry.times > 1 else ""
    when = write_time(entry.at)
    if entry.times > 1:
        when = join(when, " to ", write_time(entry.until))
    words = f"by {entry.by}" if entry.by else f"rule {entry.rule}" if entry.rule else ""
    by = element("span", words, class_="by") if words else None
    verb = element("b", entry.verb, class_=f"verb {entry.verb.replace(' ', '-')}")
    first = element("div", element("span", verb, times), element("small", when), class_="when")
    words = entry.phase if entry.stage in ("", entry.phase) else f"{entry.phase}, {entry.stage}"
    last = element("div", element("small", words), by, class_="who")
    reason = element("p", entry.reason, title=entry.reason if entry.verb == Verb.HOLD else None)
    return element("li", first, reason, last)


def render_commands(commands: tuple[RecordedCommand, ...]) -> Html:
    """Give the last commands and what was answered."""
    if not commands:
        return join(element("h2", "Commands"), element("p", "None yet.", class_="faint"))
    items = [_render_command(command) for command in commands]
    return join(element("h2", "Commands"), *_fold(items, SHOWN // 2, "commands"))


def _render_command(command: RecordedCommand) -> Html:
    answers = {"obey": "obeyed", "refuse": "refused"}
    answer = answers.get(command.answer, "waits for its controller")
    when = join(element("b", command.action), element("small", write_time(command.at)))
    where = f"rollout {command.number}" if command.number else "without a rollout"
    told = "" if command.answer == "obey" else command.words
    return element(
        "li",
        element("div", when, class_="when"),
        element("p", command.why),
        element(
            "div",
            element("span", answer, class_=f"answer {command.answer or 'open'}"),
            element("span", f"by {command.by}, {where}", class_="by"),
            class_="who",
        ),
        element("p", told, class_="told") if told else None,
    )


def render_earlier(view: ServiceView) -> Html:
    """Give the service's rollouts, each with its page."""
    if not view.rollouts:
        return join(element("h2", "Rollouts"), element("p", "None yet.", class_="faint"))
    shown = view.rollout.outline.number if view.rollout else 0
    items = [_render_outline(one, one.number == shown) for one in view.rollouts]
    table = element("table", element("tbody", *items), class_="rollouts")
    parts = [element("h2", "Rollouts"), element("div", table, class_="wide")]
    return join(*parts)


def _render_outline(outline: RolloutSummary, is_shown: bool) -> Html:
    address = f"/services/{outline.service}/{outline.number}"
    tried = f"{write_version(outline.candidate)} beside {write_version(outline.champion)}"
    link = element("a", str(outline.number), href=address)
    cells = (link, tried, render_phase(str(outline.phase)), write_time(outline.opened))
    chosen = "true" if is_shown else None
    return element("tr", *(element("td", cell) for cell in cells), aria_current=chosen)
