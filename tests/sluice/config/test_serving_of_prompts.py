"""`configs/llm/serving.yaml`: guardrails, budgets and kept answers of prompts and models."""

from pathlib import Path

import pytest

from sluice.config.llm.loading import load_language_serving
from sluice.config.llm.serving import LanguageServingConfig
from sluice.errors import ConfigInvalid
from sluice.home import PROJECT


def load(folder: Path, text: str) -> LanguageServingConfig:
    (folder / "llm").mkdir()
    (folder / "llm" / "serving.yaml").write_text(text)
    return load_language_serving(folder)


def test_the_projects_own_file_holds_where_there_is_no_other(tmp_path: Path) -> None:
    found = load_language_serving(tmp_path)
    assert found == load_language_serving(PROJECT / "configs")
    assert found.of("summarize").guardrails.output["secrets"] == "block"
    assert found.of("summarize").cache.seconds == 0


def test_a_service_replaces_sections_of_the_defaults(tmp_path: Path) -> None:
    text = (
        "defaults: {guardrails: {output: {pii: mask}}, budgets: {service: {day: 2}}}\n"
        "services: {greet: {guardrails: {output: {secrets: block}, stream: window}}}\n"
    )
    found = load(tmp_path, text).of("greet")
    assert found.guardrails.output == {"secrets": "block"}
    assert found.budgets.service.list_limits() == [("day", 2.0)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("defaults: {guardrails: {output: {pie: mask}}}", "found 'pie'; allowed: pii, secrets"),
        ("defaults: {guardrails: {output: {injection: block}}}", "which is about what is asked"),
        ("defaults: {guardrails: {output: {pii: hide}}}", "pii"),
        ("defaults: {guardrails: {stream: later}}", "allowed"),
        ("defaults: {guardrails: {window: 3}}", "window"),
        ("defaults: {budgets: {service: {day: -1}}}", "day"),
        ("defaults: {budgets: {team: {day: 1}}}", "team"),
        ("default: {}", "default"),
    ],
)
def test_what_is_not_allowed_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigInvalid, match=r"serving.yaml") as caught:
        load(tmp_path, text)
    assert words in str(caught.value)
