"""Champion and candidate stand side by side: data, commit, configuration, figures."""

from typing import Any

from sluice.report.comparison import MAX_KEYS, ComparedVersion, write_comparison

FIGURES = [
    {
        "name": "auc",
        "greater_is_better": True,
        "candidate": {"value": 0.847, "low": 0.84, "high": 0.853},
        "champion": {"value": 0.844, "low": 0.837, "high": 0.851},
    },
    {
        "name": "mape",
        "greater_is_better": False,
        "candidate": {"value": None, "low": None, "high": None},
        "champion": None,
    },
]


def make_version(number: int, **config: Any) -> ComparedVersion:
    tags = {
        "sluice.data.version": str(number),
        "sluice.data.rows": "24000",
        "sluice.data.content_hash": f"{number}{'a' * 63}",
        "sluice.code.commit": f"{number}{'b' * 39}",
        "sluice.code.dirty": "false" if number == 1 else "true",
        "sluice.config.hash": f"{number}{'c' * 63}",
        "sluice.environment.lock_hash": "d" * 64,
        "sluice.environment.python": "3.11.7",
    }
    return ComparedVersion(number, tags, config)


OLD = make_version(1, model={"seed": 7, "kind": "forest"}, approve=False)
NEW = make_version(2, model={"seed": 9, "kind": "forest"}, approve=False, bias={"seed": 1})


def test_both_have_a_column_with_what_decided_them() -> None:
    table = write_comparison(NEW, OLD, FIGURES)
    for line in (
        "|  | champion v1 | candidate v2 |",
        "| data | version 1<br>24,000 rows<br>content `1aaaaaaa` | version 2<br>24,000 rows",
        "| commit | `1bbbbbbb` | `2bbbbbbb`<br>with uncommitted changes |",
        "| configuration | `1ccccccc` | `2ccccccc` |",
        "| auc<br>more is better | 0.844<br>[0.837, 0.851] | 0.847<br>[0.840, 0.853] |",
        "| mape<br>less is better | none | cannot be measured |",
    ):
        assert line in table


def test_only_keys_of_the_configuration_that_differ_are_shown() -> None:
    table = write_comparison(NEW, OLD)
    assert "| model.seed | 7 | 9 |" in table
    assert "| bias.seed | not set | 1 |" in table
    assert "kind" not in table
    assert "approve" not in table


def test_many_differences_are_counted() -> None:
    new = make_version(2, **{f"key{number}": 2 for number in range(MAX_KEYS + 3)})
    old = make_version(1, **{f"key{number}": 1 for number in range(MAX_KEYS + 3)})
    table = write_comparison(new, old)
    assert table.count("| key") == MAX_KEYS
    assert "| 3 more keys differ |" in table


def test_without_a_champion_the_candidate_stands_alone() -> None:
    table = write_comparison(NEW, None, FIGURES)
    assert "|  | no champion | candidate v2 |" in table
    assert "| commit | none | `2bbbbbbb`" in table
    assert "model.seed" not in table


def test_figures_of_older_rows_stand_below_those_of_the_newest() -> None:
    older = {"metrics": [{**FIGURES[0], "candidate": {"value": 0.7, "low": 0.69, "high": 0.71}}]}
    lines = write_comparison(NEW, OLD, FIGURES[:1], older).splitlines()
    newest, rest = lines[-2:]
    assert "auc<br>more is better<br>newest rows" in newest
    assert "0.847" in newest
    assert "auc<br>more is better<br>older rows" in rest
    assert "0.700" in rest
    assert "newest rows" not in write_comparison(NEW, OLD, FIGURES)
