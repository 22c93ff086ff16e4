"""One fact of a service in a few words: a coloured label, the figures, and links."""

from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import quote

from serving.page.markup import Child, Html, element, join
from serving.page.panels import render_next, render_phase
from serving.page.status.facts import FEEDBACK_DAYS, NOT_READ, PageAddresses, ServiceCard
from serving.page.status.files import keep_web
from serving.page.wording import write_age, write_share, write_time, write_version
from sluice.adapters.addresses import FLOW_RUNS, MODEL_VIEW, name_run
from sluice.control.drift import DriftState, WindowOutcome
from sluice.control.health import AlertStatus, PerformanceStatus
from sluice.control.release import FAILED, HALTED, REGISTERED, RUNNING, ReleaseRecord
from sluice.control.spending import BILLION, Spent
from sluice.gates.finding import format_figure

GOOD, BAD, WAIT, UNKNOWN, BUSY = "good", "bad", "wait", "unknown", "busy"
"""Classes of labels in the style sheet."""
NOT_MEASURED = "not measured yet"
NEAR = 0.8
"""Share of a budget above which a person should look at it."""
SHOWN, LETTERS = 3, 28
"""Names that a cell lists, and letters of each; the service's page has all of them."""
OUTCOMES = {REGISTERED: (GOOD, "passed"), RUNNING: (BUSY, "under way"), FAILED: (BAD, "failed")}


def render_label(kind: str, text: str) -> Html:
    """Render a state as a coloured label."""
    return element("span", text, class_=f"label {kind}")


def render_serving(card: ServiceCard, addresses: PageAddresses) -> Html:
    """Render the version that serves, since when, and by what it came to serve."""
    version, since = card.standing.row.champion, card.standing.since
    if version is None:
        return join(
            render_label(UNKNOWN, "nothing serves"), _small("no version has become champion yet")
        )
    name = element("b", write_version(version))
    service = quote(card.standing.row.service, safe="")
    place = f"#/models/{service}/versions/{version}?{MODEL_VIEW}"
    if card.standing.is_prompt:
        place = f"#/prompts/{service}"
    shown = link(f"{addresses.registry}/{place}", name) if addresses.registry else name
    if since is None:
        return join(shown, _small("since when is not on record"))
    by = f", {since.action}" + (f" by {since.by}" if since.by else "")
    return join(shown, _small("since ", write_time(since.at), by))


def render_trial(card: ServiceCard) -> Html:
    """Render the open rollout, and what waits for a person."""
    row, waiting = card.standing.row, card.standing.waiting
    parts: list[Child] = []
    if row.candidate is not None:
        place = f" at {write_share(row.weight)}" + (f", {row.stage}" if row.stage else "")
        parts += [render_phase(row.phase), " ", element("b", write_version(row.candidate)), place]
        parts.append(_small(f"rollout {row.number}, opened ", write_time(row.since)))
    elif row.number:
        parts += [render_phase(row.phase)]
        parts.append(_small(f"rollout {row.number}, ended ", write_time(row.since)))
    else:
        parts.append(element("span", "no rollout", class_="faint"))
    if waiting:
        versions = ", ".join(map(write_version, waiting))
        service = row.service
        advice = f"approve {versions}: `sluice approve {service} --by NAME --reason WORDS`"
        parts.append(render_next(advice, is_urgent=True))
    parts.append(render_next(row.next_step, is_urgent=True))
    return join(*parts)


def render_release(card: ServiceCard, addresses: PageAddresses) -> Html:
    """Render how the newest release ended, which gate stopped it, and its links."""
    release = card.standing.release
    if release is None:
        return element("span", "no release on record", class_="faint")
    when = release.ended or release.started
    return join(
        render_outcome(release),
        _small(f"data v{release.data_version}, ", write_time(when)),
        render_links(release, addresses),
    )


def render_outcome(release: ReleaseRecord) -> Html:
    """Render how a release ended as a label."""
    if release.outcome == HALTED:
        gate = release.stopped_by
        return render_label(BAD, f"{gate} gate stopped it" if gate else "halted")
    kind, words = OUTCOMES.get(release.outcome, (WAIT, release.outcome))
    if release.outcome == REGISTERED and release.version:
        words = f"{words}, {write_version(release.version)}"
    return render_label(kind, words)


def render_links(release: ReleaseRecord, addresses: PageAddresses) -> Html | None:
    """Render links to a release's run and registry page; None where neither is up."""
    links = []
    if addresses.orchestrator and release.flow_run:
        flow_run = quote(release.flow_run, safe="")
        links.append(link(f"{addresses.orchestrator}/{FLOW_RUNS}{flow_run}", "run"))
    if addresses.registry and release.registry_run:
        ids = (quote(item, safe="") for item in (release.experiment, release.registry_run))
        links.append(link(name_run(addresses.registry, *ids), "registry"))
    return element("span", *_separate(links), class_="links") if links else None


def render_drift(states: Sequence[DriftState] | None, opened: Sequence[DriftState]) -> Html:
    """Render which kinds of drift are open, the features that moved, and the report.

    `opened` are those of what serves; an alarm of a version before it is only named.
    """
    if states is None:
        return element("span", NOT_MEASURED, class_="faint")
    newest = max(states, key=lambda item: item.end)
    if opened:
        kinds = ", ".join(dict.fromkeys(item.kind for item in opened))
        moved = (one for item in opened for one in item.features if one.findings)
        names = list(dict.fromkeys(one.name for one in moved))
        since = min((item.since for item in opened if item.since), default=None)
        words = join(_list_names(names), ", ") if names else None
        label = render_label(BAD, f"{kinds} drift")
        return join(label, _small(words, "since ", write_time(since)), render_report(opened[0]))
    left = [item for item in states if item.is_open]
    if left:
        kinds = ", ".join(dict.fromkeys(item.kind for item in left))
        before = element("span", f"{NOT_MEASURED}, before it:", class_="faint")
        return join(before, _small(f"{kinds} drift of {write_version(left[0].version)}"))
    judged = [item for item in states if item.outcome is not WindowOutcome.NOT_JUDGED]
    if not judged:
        return join(render_label(UNKNOWN, "not judged"), _small(newest.reason or "not enough data"))
    return join(
        render_label(GOOD, "none"),
        _small("window to ", write_time(newest.end)),
        render_report(newest),
    )


def render_report(state: DriftState) -> Html | None:
    """Render a link to a report of drift; None where it has no address of the web."""
    address = keep_web(state.report)
    return element("span", link(address, "report"), class_="links") if address else None


def render_alerts_cell(alerts: Sequence[AlertStatus] | None) -> Html:
    """Render the alerts that fire; silenced ones and unjudged rules are counted."""
    if alerts is None:
        return element("span", NOT_MEASURED, class_="faint")
    firing = [item for item in alerts if item.is_firing and item.silenced_until is None]
    silenced = sum(1 for item in alerts if item.is_firing and item.silenced_until is not None)
    unjudged = sum(1 for item in alerts if item.outcome == "not judged")
    notes = [
        f"{silenced} silenced" if silenced else "",
        f"{unjudged} not judged" if unjudged else "",
    ]
    note = _small(", ".join(filter(None, notes))) if any(notes) else None
    if not firing:
        pending = [item.rule for item in alerts if item.phase == "pending"]
        if pending:
            return join(render_label(WAIT, f"{', '.join(pending[:SHOWN])} pending"), note)
        return join(render_label(GOOD, "none firing"), note)
    names = _list_names([item.rule for item in firing])
    since = min((item.since for item in firing if item.since), default=None)
    return join(
        render_label(BAD, f"{len(firing)} firing"),
        _small(names, ", since ", write_time(since)),
        note,
    )


def render_performance(card: ServiceCard) -> Html:
    """Render whether live performance holds the release's figure."""
    found = card.standing.health.performance
    if found is None:
        return element("span", NOT_MEASURED, class_="faint")
    good = render_label(GOOD, "recovered" if found.recovered else "holds")
    label = render_label(BAD, "dropped") if found.dropped else good
    if card.standing.row.champion not in (None, found.version):
        label = element("span", f"{NOT_MEASURED}, before it:", class_="faint")
    figures = write_comparison(found)
    where = f"{write_version(found.version)}, window {found.number}, "
    return join(
        label, _small(figures) if figures else None, _small(where, write_time(found.judged))
    )


def write_comparison(found: PerformanceStatus) -> str:
    """Write a window's figure beside that of the release; empty where it is not known."""
    if not found.metric:
        return ""
    how = "estimated" if found.is_estimated else "measured"
    now, before = format_figure(found.value), format_figure(found.baseline)
    return f"{found.metric} {now} {how}, {before} at the release"


def render_feedback(card: ServiceCard, now: datetime) -> Html:
    """Render how many labels came in the last day, and how old the newest one is."""
    found = card.feedback
    if found.problem:
        return _render_problem(found.problem)
    age = f"newest {write_age(found.newest, now)}" if found.newest else ""
    others = f"{found.others:,} without a label" if found.others else ""
    notes = ", ".join(filter(None, (age, others)))
    if not found.labels:
        span = f"{found.hours} h" if found.newest else f"{FEEDBACK_DAYS} days"
        none = element("span", f"no label in {span}", class_="faint")
        return join(none, _small(notes) if notes else None)
    plural = "s" if found.labels != 1 else ""
    text = f"{found.labels:,} label{plural} in {found.hours} h"
    return join(element("span", text, class_="figure"), _small(notes))


def render_traffic(card: ServiceCard, now: datetime) -> Html:
    """Render requests a minute and the share that failed."""
    found = card.traffic
    if found.problem:
        return _render_problem(found.problem)
    if found.newest is None:
        return element("span", "no answer logged yet", class_="faint")
    if not found.requests:
        none = element("span", f"none in {found.minutes} min", class_="faint")
        return join(none, _small(f"last answer {write_age(found.newest, now)}"))
    rate = element("span", f"{found.per_minute:,.1f} a minute", class_="figure")
    if not found.failures:
        return join(rate, _small("none failed"))
    share = f"{found.failures:,} of {found.requests:,} failed"
    return join(rate, element("small", share, class_="stop"))


def _render_problem(problem: str) -> Html:
    """Render why the log was not read; at the first visit it is not a fault."""
    if problem == NOT_READ:
        return element("span", problem, class_="faint")
    return join(render_label(UNKNOWN, "not readable"), _small(problem))


def render_retraining(card: ServiceCard) -> Html:
    """Render what a retraining waits for."""
    causes = card.standing.health.retraining
    if causes is None:
        return element("span", "no cause yet", class_="faint")
    if not causes:
        return element("span", "nothing waits", class_="faint")
    first = causes[0]
    waits = f"waits for {first.waits}" if first.waits else "open"
    more = f", and {len(causes) - 1} more" if len(causes) > 1 else ""
    return join(
        render_label(WAIT, waits),
        _small(f"{first.subject}: {first.decision or first.reason}{more}"),
    )


def render_spend(card: ServiceCard) -> Html:
    """Render what a prompt's calls cost beside each of its budgets; a model costs none."""
    if not card.standing.is_prompt:
        return element("span", "no prompt", class_="faint")
    if not card.budgets:
        return element("span", "no budget", class_="faint")
    shares, lines = list[float](), list[str]()
    for period, limit in card.budgets.items():
        spent = card.standing.spent.get(period, Spent())
        dollars = spent.spent / BILLION
        shares.append(dollars / limit if limit else float(dollars > 0))
        lines.append(f"{period} ${dollars:,.2f} of ${limit:,.2f}")
    worst = max(shares)
    kind = BAD if worst >= 1 else WAIT if worst > NEAR else GOOD
    return join(render_label(kind, f"{worst:.0%} spent"), _small("; ".join(lines)))


def link(address: str, text: Html | str) -> Html:
    """Render a link to a page of another program."""
    return element("a", text, href=address, rel="noreferrer")


def find_now() -> datetime:
    """Return the time against which ages are written."""
    return datetime.now(UTC)


def _list_names(names: Sequence[str]) -> Html:
    """Render the first names, long ones cut; each has its whole name as a title."""
    parts: list[Child] = []
    for place, name in enumerate(names[:SHOWN]):
        is_long = len(name) > LETTERS
        shown = element("span", f"{name[: LETTERS - 1]}…", title=name) if is_long else name
        parts += [", ", shown] if place else [shown]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return join(*parts, more)


def _small(*children: Child) -> Html:
    return element("small", *children)


def _separate(links: Sequence[Html]) -> list[Child]:
    parts: list[Child] = []
    for place, one in enumerate(links):
        parts += [" ", one] if place else [one]
    return parts
