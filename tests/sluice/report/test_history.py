"""A service's releases as rows and as a page."""

from datetime import UTC, datetime, timedelta

from sluice.report.history import MAX_REASON, PastRelease, list_rows, write_history
from sluice.report.next_steps import DEAD_LINK

START = datetime(2026, 1, 2, 9, 30, tzinfo=UTC)
TAGS = {
    "sluice.data.version": "4",
    "sluice.cause": "weekly",
    "sluice.code.commit": "0123456789abcdef",
    "sluice.code.dirty": "true",
    "sluice.verdict.data": "pass",
    "sluice.verdict.evaluation": "pass",
    "sluice.reason.evaluation": "auc .835 [.830, .840]",
}
FIGURES = {"primary/value": 0.835, "primary/low": 0.83, "primary/high": 0.84, "primary/limit": 0.8}


def make_release(
    status: str = "FINISHED", aliases: tuple[str, ...] = (), **tags: str
) -> PastRelease:
    given = {f"sluice.{name}": value for name, value in tags.items()}
    links = {"run": "http://localhost/1", "MLflow": ""}
    return PastRelease(START, status, {**TAGS, **given}, FIGURES, aliases, links)


def test_row_of_a_registered_release() -> None:
    item = make_release(aliases=("champion",), outcome="registered", version="7")
    assert list_rows([item]) == [
        {
            "when": "2026-01-02 09:30",
            "data version": "v4",
            "cause": "weekly",
            "code": "0123456+",
            "data": "pass",
            "evaluation": "pass",
            "bias": "",
            "parity": "",
            "security": "",
            "reason": "auc .835 [.830, .840]",
            "version": "v7 champion",
        }
    ]


def test_halted_release_says_what_stopped_it() -> None:
    item = make_release("FAILED", outcome="halted", stopped="BiasFound: women -.250")
    row = list_rows([item])[0]
    assert (row["version"], row["reason"]) == ("halted", "BiasFound: women -.250")
    assert "**BiasFound: women -.250**" in write_history("alpha", [item])


def test_version_that_waits_says_so() -> None:
    tags = {**TAGS, "sluice.outcome": "registered", "sluice.version": "3"}
    item = PastRelease(
        START, "FINISHED", {**tags, "sluice.approval": "pending"}, {}, ("candidate",)
    )
    assert list_rows([item])[0]["version"] == "v3 candidate (waits for approval)"


def test_interrupted_release_differs_from_a_running_one() -> None:
    assert make_release("KILLED").outcome == "interrupted"
    assert make_release("RUNNING").outcome == "running"


def test_page_counts_links_and_shows_the_plot() -> None:
    releases = [make_release(outcome="registered", version="2"), make_release(outcome="halted")]
    page = write_history("alpha", releases, "QUJD")
    assert "The newest 2: 1 registered, 1 halted." in page
    assert "[run](http://localhost/1)" in page
    assert page.endswith(f"{DEAD_LINK}\n")
    assert "[MLflow]" not in page
    assert "(data:image/png;base64,QUJD)" in page


def test_long_reason_is_cut() -> None:
    row = list_rows([make_release(outcome="halted", stopped="x" * 3000)])[0]
    assert len(row["reason"]) == MAX_REASON + 4


def test_primary_needs_value_and_bounds() -> None:
    whole = make_release()
    assert (whole.primary, whole.limit) == ((0.835, 0.83, 0.84), 0.8)
    partly = PastRelease(START + timedelta(1), "FAILED", {}, {"primary/value": 0.8})
    assert (partly.primary, partly.limit) == (None, None)
