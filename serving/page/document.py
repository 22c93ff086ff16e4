"""Whole pages: all services, one service, and what says that something is not there."""

from collections.abc import Sequence

from serving.page.commands import render_steering
from serving.page.evidence import render_arms, render_rules
from serving.page.markup import Html, element, join
from serving.page.panels import (
    render_alerts,
    render_commands,
    render_earlier,
    render_head,
    render_log,
    render_phase,
)
from serving.page.reading import StoreReading, say_seconds
from serving.page.view import Overview, ServiceRow, ServiceView
from serving.page.wording import write_share, write_time, write_version


def render_service(reading: StoreReading[ServiceView], has_control: bool) -> Html:
    """Give the page of a service."""
    view = reading.value
    alerts = join(_warn_of_store(reading), render_alerts(view))
    shown = view.rollout
    left = [
        _live("arms", render_arms(shown)) if shown else None,
        _live("rules", render_rules(shown)) if shown else None,
        _live("rollouts", render_earlier(view)),
    ]
    right = [
        element("section", render_steering(view, has_control), id="steering"),
        _live("commands", render_commands(view.commands)),
        _live("log", render_log(view.rollout)) if view.rollout else None,
    ]
    main = [
        element("div", alerts, id="live-alerts", data_live=True),
        _live("head", render_head(view)),
        element("div", element("div", *left), element("div", *right), class_="columns"),
    ]
    return _render_document(view.service, main, view.service)


def render_overview(reading: StoreReading[Overview]) -> Html:
    """Give the page of all services."""
    rows = [_render_row(row) for row in reading.value.services]
    body = element("ul", *rows, class_="services")
    if not rows:
        words = "No service has a champion yet. A release that passed and was promoted is one: "
        body = element("p", words, element("code", "sluice promote SERVICE"))
    main = [
        element("div", _warn_of_store(reading), id="live-alerts", data_live=True),
        element("h1", "Rollouts"),
        element("div", body, id="live-services", data_live=True),
    ]
    return _render_document("Rollouts", main)


def render_trouble(title: str, words: str) -> Html:
    """Give a page that says why there is nothing else."""
    alert = element("p", words, class_="alert", role="alert")
    main = [
        element("div", alert, id="live-alerts", data_live=True),
        element("h1", title),
        element("p", element("a", "All services", href="/")),
    ]
    return _render_document(title, main)


def _render_row(row: ServiceRow) -> Html:
    moving = row.candidate is not None
    tried = f"{write_version(row.candidate)} at {write_share(row.weight)}" if moving else ""
    stage = f", {row.stage}" if row.stage else ""
    last = None
    if row.number:
        words = f"rollout {row.number}, {'opened' if moving else 'ended'} "
        last = element("small", words, write_time(row.since))
    return element(
        "li",
        element("h2", element("a", row.service, href=f"/services/{row.service}")),
        element("p", "champion ", element("b", write_version(row.champion)), class_="serves"),
        element("p", render_phase(row.phase), f" {tried}{stage} ", last),
        element("p", row.reason, class_="reason") if row.reason else None,
        element("p", row.warning, class_="alert") if row.warning else None,
    )


def _warn_of_store(reading: StoreReading[ServiceView] | StoreReading[Overview]) -> Html | None:
    if not reading.trouble:
        return None
    words = (
        f"What is shown is {say_seconds(reading.age)} old: the control store cannot be read "
        f"({reading.trouble}). Rollouts hold meanwhile; champions serve on."
    )
    return element("p", words, class_="alert", role="alert")


def _live(name: str, body: Html | None) -> Html:
    """Give a panel that the script renews."""
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
