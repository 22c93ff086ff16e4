"""Whole pages: all services, one service, and the page for errors."""

from collections.abc import Sequence

from serving.page.commands import render_control
from serving.page.evidence import render_arms, render_rules
from serving.page.experiments import render_experiment
from serving.page.markup import Html, element, join
from serving.page.panels import (
    render_alerts,
    render_commands,
    render_head,
    render_log,
    render_rollouts,
)
from serving.page.reading import OLD_SECONDS, CachedValue
from serving.page.status.advice import render_advice
from serving.page.status.facts import (
    PageAddresses,
    ServiceCard,
    ServiceStatusPage,
    Standings,
    Surroundings,
)
from serving.page.status.overview import render_configuration, render_services
from serving.page.status.panels import (
    render_alerts_panel,
    render_drift_panel,
    render_releases,
    render_standing,
    render_timeline,
)
from serving.page.wording import write_seconds


def render_service(
    cached: CachedValue[ServiceStatusPage], around: Surroundings, has_control: bool
) -> Html:
    """Render the page of a service."""
    addresses = around.addresses
    page = cached.value
    view, card, rollout = page.view, page.card, page.view.rollout
    alerts = join(_warn_of_store(cached), render_configuration(card), render_alerts(view))
    health = card.standing.health
    left = [
        _live("arms", render_arms(rollout)) if rollout else None,
        _live("rules", render_rules(rollout)) if rollout else None,
        _live("drift", render_drift_panel(health.drift, page.history.drift)),
        _live("releases", render_releases(page.history.releases, addresses)),
        _live("rollouts", render_rollouts(view)),
        _live("experiment", render_experiment(view.experiment)) if view.experiment else None,
    ]
    right = [
        element("section", render_control(view, has_control), id="control-panel"),
        _live("commands", render_commands(view.commands)),
        _live("log", render_log(rollout)) if rollout else None,
        _live("monitoring", render_alerts_panel(health.alerts)),
        _live("timeline", render_timeline(page.history)),
    ]
    main = [
        element("div", alerts, id="live-alerts", data_live=True),
        _live("head", render_head(view)),
        element("div", render_advice(card, around.runbooks), id="live-advice", data_live=True),
        _live("standing", render_standing(card, addresses)),
        element("div", element("div", *left), element("div", *right), class_="columns"),
    ]
    return _render_document(view.service, main, view.service)


def render_overview(
    cached: CachedValue[Standings], cards: Sequence[ServiceCard], addresses: PageAddresses
) -> Html:
    """Render the page of all services."""
    main = [
        element("div", _warn_of_store(cached), id="live-alerts", data_live=True),
        element("h1", "Services"),
        element("div", render_services(cards, addresses), id="live-services", data_live=True),
    ]
    return _render_document("Status", main)


def render_problem(title: str, text: str) -> Html:
    """Render a page that says why there is nothing to show."""
    alert = element("p", text, class_="alert", role="alert")
    main = [
        element("div", alert, id="live-alerts", data_live=True),
        element("h1", title),
        element("p", element("a", "All services", href="/")),
    ]
    return _render_document(title, main)


def _warn_of_store(
    cached: CachedValue[ServiceStatusPage] | CachedValue[Standings],
) -> Html | None:
    if not cached.problem:
        if cached.age < OLD_SECONDS:
            return None
        text = f"What is shown is {write_seconds(cached.age)} old; it is being read again."
        return element("p", text, class_="note")
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
        element("a", "Sluice status", href="/"),
        element("span", "loaded once", id="renewed", role="status"),
    )
    body = element("body", bar, element("main", *main), data_service=service or None)
    return Html("<!doctype html>" + element("html", head, body, lang="en"))
