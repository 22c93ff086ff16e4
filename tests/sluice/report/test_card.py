import re

import pytest

from sluice.config.data import TrafficSource
from sluice.config.loading import load_service
from sluice.config.service import ServiceConfig
from sluice.data.version import DataVersion
from sluice.identity import CodeVersion, Environment, ReleaseIdentity
from sluice.report.card import write_card
from sluice.report.markdown import write_table
from sluice.verdict import Check, Outcome, Verdict

CHECKS = (
    Check("auc floor", Outcome.PASS, 0.84, (0.83, 0.85), 0.8, ">=", n=7182),
    Check("selection ratio of race=other", Outcome.LISTED, 0.9, (0.7, 1.1), 0.8, ">=", n=200),
    Check("f1", Outcome.LISTED, 0.83, (0.82, 0.84), n=7182, note="shown, no limit"),
    Check("slice a|b", Outcome.LISTED, n=9, note="too small"),
)
NOTICES = ("not proved: selection ratio of race=other .900 [.700, 1.100], limit .800, n 200",)
VERDICTS = (Verdict("evaluation", Outcome.PASS, CHECKS, "auc .840, no champion yet", "", NOTICES),)
IDENTITY = ReleaseIdentity(
    service="employment",
    data=DataVersion("table", 3, 24_000, "5" * 64, "c" * 64),
    code=CodeVersion("a1b2c3", dirty=True),
    config_hash="f" * 64,
    environment=Environment("e" * 64, "3.11.7", "Linux", ""),
)


@pytest.fixture
def config() -> ServiceConfig:
    return load_service("employment", "development")


@pytest.fixture
def card(config: ServiceConfig) -> str:
    return write_card(config, IDENTITY, VERDICTS, 16_818, 7_182)


def read_section(card: str, title: str) -> str:
    return card.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def test_a_card_has_its_sections_in_order(card: str) -> None:
    assert re.findall(r"^## (.+)$", card, re.MULTILINE) == [
        "Evaluation",
        "Verdicts",
        "Notices and unproved checks",
        "Intended use",
        "Model",
        "Data",
        "Figures of the other gates",
        "Identity",
    ]


def test_a_card_opens_with_the_service_and_what_it_is_for(card: str, config) -> None:
    assert card.startswith(f"# employment\n\n{config.description}\n")
    assert "whether `employed` is `1`" in read_section(card, "Intended use")


def test_sensitive_columns_that_the_model_does_not_use_are_named(card: str) -> None:
    assert "It does not use `sex`, `race`" in read_section(card, "Intended use")


def test_every_hyperparameter_stands_in_the_card(card: str, config) -> None:
    section = read_section(card, "Model")
    for name, value in config.model.model_dump().items():
        assert f"| `{name}` | {value} |" in section


def test_a_chosen_threshold_is_shown(config: ServiceConfig) -> None:
    card = write_card(config, IDENTITY, VERDICTS, 16_818, 7_182, threshold=0.4321)
    assert "| threshold in use | 0.432 |" in card


def test_data_is_pinned_and_counted(card: str) -> None:
    section = read_section(card, "Data")
    for fact in ("| version | 3 |", "| rows | 24,000 |", "c" * 64, "16,818", "7,182", "seed 2015"):
        assert fact in section


def test_figures_stand_with_interval_and_limit(card: str) -> None:
    line = "| auc floor | pass | 0.840 | [0.830, 0.850] | ≥ 0.800 | 7,182 |"
    assert line in read_section(card, "Evaluation")


def test_a_card_begins_with_the_evaluation(card: str, config: ServiceConfig) -> None:
    _, found, rest = card.partition(f"{config.description}\n\n")
    assert found
    assert rest.startswith("## Evaluation\n\n**pass**: ")


def test_each_unproved_check_is_listed_once(card: str) -> None:
    section = read_section(card, "Notices and unproved checks")
    assert section.count("race=other") == 1
    assert "f1" not in section
    assert "too small" in section


def test_uncommitted_code_is_mentioned(card: str) -> None:
    assert "`a1b2c3` with uncommitted changes" in read_section(card, "Identity")
    assert IDENTITY.id in card


def test_the_same_facts_give_the_same_card(card: str, config: ServiceConfig) -> None:
    assert write_card(config, IDENTITY, VERDICTS, 16_818, 7_182) == card


def test_a_card_where_all_is_proved_says_so(config: ServiceConfig) -> None:
    proved = Verdict("evaluation", Outcome.PASS, CHECKS[:1], "fine", "")
    assert "Every check was proved." in write_card(config, IDENTITY, (proved,), 1, 1)


def test_cells_cannot_break_a_table() -> None:
    lines = write_table(("a", "b"), [("x|y", "two\nlines")]).split("\n")
    assert lines == ["| a | b |", "| --- | --- |", "| x\\|y | two lines |"]


def test_selective_labels_say_what_cannot_be_known(config: ServiceConfig) -> None:
    sections = []
    for labels in ("all", "selective"):
        source = TrafficSource.model_validate(
            {"kind": "traffic", "maturity": "7 d", "labels": labels}
        )
        found = config.model_copy(update={"source": source})
        sections.append(read_section(write_card(found, IDENTITY, VERDICTS, 10, 10), "Data"))
    assert "provenance" in sections[0]
    assert "cannot be known" not in sections[0]
    assert "its recall and its false negatives" in sections[1]


def test_rows_that_are_no_traffic_need_no_word_about_it(card: str) -> None:
    assert "provenance" not in card


@pytest.mark.parametrize(("recent", "shown"), [("90 d", "90 d)"), (3000, "3000 rows)")])
def test_rows_that_decide_are_named_where_not_all_do(
    config: ServiceConfig, recent: str | int, shown: str
) -> None:
    evaluation = config.evaluation.model_copy(update={"recent": recent})
    changed = config.model_copy(update={"evaluation": evaluation})
    section = read_section(write_card(changed, IDENTITY, VERDICTS, 16_818, 7_182), "Data")
    assert f"| rows that decide | the newest ones (`evaluation.recent`: {shown} |" in section
    plain = read_section(write_card(config, IDENTITY, VERDICTS, 16_818, 7_182), "Data")
    assert "rows that decide" not in plain
