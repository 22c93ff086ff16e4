"""Whole pages: all services, one service, and the page for errors."""

from collections.abc import Sequence

from serving.page.commands import render_control
from serving.page.evidence import render_arms, render_rules
from serving.page.markup import Html, element, join
from serving.page.panels import (
    render_alerts,
    render_commands,
    render_head,
    render_log,
    render_phase,
    render_rollouts,
)
from serving.page.reading import CachedValue
from serving.page.view import Overview, ServiceRow, ServiceView
from serving.page.wording import write_seconds, write_share, write_time, write_version


def render_service(cached: CachedValue[ServiceView], has_control: bool) -> Html:
    """Render the page of a service."""
    view = cached.value
    alerts = join(_warn_of_store(cached), render_alerts(view))
    rollout = view.rollout
    left = [
        _live("arms", render_arms(rollout)) if rollout else None,
        _live("rules", render_rules(rollout)) if rollout else None,
        _live("rollouts", render_rollouts(view)),
    ]
    right = [
        element("section", render_control(view, has_control), id="control-panel"),
        _live("commands", render_commands(view.commands)),
        _live("log", render_log(rollout)) if rollout else None,
    ]
    main = [
        element("div", alerts, id="live-alerts", data_live=True),
        _live("head", render_head(view)),
        element("div", element("div", *left), element("div", *right), class_="columns"),
    ]
    return _render_document(view.service, main, view.service)


def render_overview(cached: CachedValue[Overview]) -> Html:
    """Render the page of all services."""
    rows = [_render_row(row) for row in cached.value.services]
    body = element("ul", *rows, class_="services")
    if not rows:
        text = "No service has a champion yet. Release a model, then promote it: "
        body = element("p", text, element("code", "sluice promote SERVICE"))
    main = [
        element("div", _warn_of_store(cached), id="live-alerts", data_live=True),
        element("h1", "Rollouts"),
        element("div", body, id="live-services", data_live=True),
    ]
    return _render_document("Rollouts", main)


def render_problem(title: str, text: str) -> Html:
    """Render a page that says why there is nothing to show."""
    alert = element("p", text, class_="alert", role="alert")
    main = [
        element("div", alert, id="live-alerts", data_live=True),
        element("h1", title),
        element("p", element("a", "All services", href="/")),
    ]
    return _render_document(title, main)


def _render_row(row: ServiceRow) -> Html:
    is_open = row.candidate is not None
    tried = f"{write_version(row.candidate)} at {write_share(row.weight)}" if is_open else ""
    stage = f", {row.stage}" if row.stage else ""
    last = None
    if row.number:
        text = f"rollout {row.number}, {'opened' if is_open else 'ended'} "
        last = element("small", text, write_time(row.since))
    return element(
        "li",
        element("h2", element("a", row.service, href=f"/services/{row.service}")),
        element("p", "champion ", element("b", write_version(row.champion)), class_="serves"),
        element("p", render_phase(row.phase), f" {tried}{stage} ", last),
        element("p", row.reason, class_="reason") if row.reason else None,
        element("p", row.warning, class_="alert") if row.warning else None,
    )


def _warn_of_store(cached: CachedValue[ServiceView] | CachedValue[Overview]) -> Html | None:
    if not cached.problem:
        return None
    text = (
        f"What is shown is {write_seconds(cached.age)} old: the control store cannot be read "
        f"({cached.problem}). Until it can, rollouts hold and champions continue to serve."
    )
    return element("p", text, class_="alert", role="alert")


def _live(name: str, body: Html | None) -> Html:
    """Render a panel that the script renews."""
    return element("section", body, id=f"live-{name}", data_live=True)


def _render_document(title: str, main: Sequence[Html], service: str = "") -> Html:
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{title} - Sluice"),
        element("link", rel="icon", href="data:,"),
        element("link", rel="stylesheet", href="/page.css"),
        element("script", src="/page.js", defer=True),
        element("noscript", element("meta", http_equiv="refresh", content="5")),
    )
    bar = element(
        "header",
        element("a", "Sluice rollouts", href="/"),
        element("span", "loaded once", id="renewed", role="status"),
    )
    body = element("body", bar, element("main", *main), data_service=service or None)
    return Html("<!doctype html>" + element("html", head, body, lang="en"))
