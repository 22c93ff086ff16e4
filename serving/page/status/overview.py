"""The table of all services: one line each, those that need attention first."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from urllib.parse import quote

from serving.page.markup import Html, element, join
from serving.page.status.cells import (
    BAD,
    GOOD,
    WAIT,
    find_now,
    render_alerts_cell,
    render_drift,
    render_feedback,
    render_label,
    render_performance,
    render_release,
    render_retraining,
    render_serving,
    render_spend,
    render_traffic,
    render_trial,
)
from serving.page.status.facts import PageAddresses, ServiceCard

NO_SERVICE = (
    "No service has a champion yet. Release a model, then promote it: ",
    "sluice promote SERVICE",
)


def render_services(cards: Sequence[ServiceCard], addresses: PageAddresses) -> Html:
    """Render the summary and the table of all services."""
    if not cards:
        return element("p", NO_SERVICE[0], element("code", NO_SERVICE[1]))
    now = find_now()
    rows = [_render_row(card, addresses, now) for card in cards]
    names = ["service", *(name for name, _ in list_cells(cards[0], addresses, now))]
    head = element("tr", *(element("th", name, scope="col") for name in names))
    table = element("table", element("thead", head), element("tbody", *rows), class_="standings")
    return join(_summarize(cards), element("div", table, class_="sheet"))


def list_cells(
    card: ServiceCard, addresses: PageAddresses, now: datetime
) -> Iterator[tuple[str, Html]]:
    """Return each fact of a service with its name, in the order of the columns."""
    health = card.standing.health
    yield "serves", render_serving(card, addresses)
    yield "on trial", render_trial(card)
    yield "last release", render_release(card, addresses)
    yield "drift", render_drift(health.drift, card.standing.open_drift)
    yield "alerts", render_alerts_cell(health.alerts)
    yield "performance", render_performance(card)
    yield "traffic", render_traffic(card, now)
    yield "feedback", render_feedback(card, now)
    yield "retraining", render_retraining(card)
    yield "spend", render_spend(card)


def render_attention(card: ServiceCard) -> Html | None:
    """Render what a person should look at; None where nothing."""
    if not card.attention:
        return None
    return element("p", *(_mark(words) for words in card.attention), class_="marks")


def render_configuration(card: ServiceCard) -> Html | None:
    """Render what is wrong with a service's configuration; None where nothing."""
    if card.configuration:
        text = "Its configuration cannot be read, so nothing that needs it starts: "
        return element("p", text, card.configuration, class_="alert", role="alert")
    if not card.is_configured:
        text = "No file in configs/ has this name (any more): what serves continues to serve."
        return element("p", text, class_="note")
    return None


def _render_row(card: ServiceCard, addresses: PageAddresses, now: datetime) -> Html:
    name = card.standing.row.service
    address = f"/services/{quote(name, safe='')}"
    warning = card.standing.row.warning
    head = element(
        "th",
        element("a", name, href=address, class_="name"),
        render_attention(card),
        element("p", warning, class_="warning") if warning else None,
        element("p", card.configuration, class_="warning") if card.configuration else None,
        scope="row",
    )
    cells = [
        element("td", element("div", body), data_label=label)
        for label, body in list_cells(card, addresses, now)
    ]
    return element("tr", head, *cells, class_="marked" if card.attention else None)


def _summarize(cards: Sequence[ServiceCard]) -> Html:
    marked = sum(1 for card in cards if card.attention)
    total = f"{len(cards)} service{'s' if len(cards) != 1 else ''}"
    state = f"{marked} to look at" if marked else "nothing to look at"
    label = render_label(WAIT if marked else GOOD, state)
    return element("p", f"{total} ", label, class_="summary")


def _mark(words: str) -> Html:
    grave = ("alert", "dropped", "broken", "warning", "halted", "failed", "drift")
    return render_label(BAD if any(one in words for one in grave) else WAIT, words)
