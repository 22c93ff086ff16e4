"""Prompts on the status page: the same row as models, with what they cost beside budgets."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from serving.page.reading import StoreReader
from serving.page.status.cells import render_serving, render_spend
from serving.page.status.facts import EVERY, PageAddresses, Surroundings, combine
from serving.page.status.files import FileReader
from sluice.adapters.control.store import prepare_control
from sluice.control.route import Route
from sluice.control.spending import Account, Budget, count_billionths, name_period
from sluice.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A prompt and a model that serve; the prompt's calls of today cost $4.50."""
    home = Home(tmp_path)
    control = prepare_control(home)
    control.routes.swap(None, Route("greet", 2, kind="prompt"))
    control.routes.swap(None, Route("town", 1))
    account = Account("service", "greet", name_period("day", datetime.now(UTC)))
    amount = count_billionths(4.5)
    held = control.spending.reserve([Budget(account, 2 * amount)], amount, 60)
    control.spending.settle(held, amount)
    return home


def test_a_prompt_has_a_row_with_its_spend_and_a_model_has_none(home: Home) -> None:
    standings = StoreReader(prepare_control(home)).read_standings()
    around = Surroundings(budgets={EVERY: {}, "greet": {"day": 5.0, "week": 100.0}})
    cards = {card.standing.row.service: card for card in combine(standings, around)}
    assert (cards["greet"].standing.row.champion, cards["greet"].is_configured) == (2, True)
    shown = str(render_spend(cards["greet"]))
    assert "90% spent" in shown
    assert "day $4.50 of $5.00; week $0.00 of $100.00" in shown
    assert "label wait" in shown
    assert "no prompt" in str(render_spend(cards["town"]))
    link = str(render_serving(cards["greet"], PageAddresses(registry="http://r")))
    assert 'href="http://r/#/prompts/greet"' in link


def test_a_prompt_without_budget_says_so(home: Home) -> None:
    standings = StoreReader(prepare_control(home)).read_standings()
    cards = {card.standing.row.service: card for card in combine(standings, Surroundings())}
    assert "no budget" in str(render_spend(cards["greet"]))


def test_budgets_are_read_from_the_settings_of_prompts(tmp_path: Path) -> None:
    folder = tmp_path / "configs" / "llm"
    folder.mkdir(parents=True)
    (folder / "serving.yaml").write_text(
        "defaults: {budgets: {service: {day: 2}}}\n"
        "services: {greet: {budgets: {service: {week: 9}}}}\n"
    )
    found = FileReader(Home(tmp_path), tmp_path / "configs").read().budgets
    assert found == {EVERY: {"day": 2.0}, "greet": {"week": 9.0}}
