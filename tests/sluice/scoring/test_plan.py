"""Parts of an input, columns to keep, and the key of a run."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.scoring.plan import (
    choose_kept,
    count_microseconds,
    name_run,
    plan_parts,
    read_microseconds,
)

FILES = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.lists(st.integers(0, 500), max_size=8)), max_size=5
)


@settings(deadline=None)
@given(FILES, st.integers(1, 900))
def test_parts_have_every_row_group_once_in_order(
    files: list[tuple[str, list[int]]], least: int
) -> None:
    parts = plan_parts(files, least)
    assert [part.index for part in parts] == list(range(len(parts)))
    assert sum(part.rows for part in parts) == sum(sum(sizes) for _, sizes in files)
    rest = list(parts)
    for file, sizes in files:
        end = row = 0
        while rest and rest[0].file == file and rest[0].groups[0] == end and end < len(sizes):
            part = rest.pop(0)
            assert part.first == row
            assert part.rows == sum(sizes[slice(*part.groups)])
            end, row = part.groups[1], row + part.rows
        assert sum(sizes[end:]) == 0
    assert not rest


def test_a_part_ends_where_it_has_enough_rows_or_its_file_ends() -> None:
    parts = plan_parts([("a", [60, 60, 60]), ("b", [10])], 100)
    found = [(part.file, part.groups, part.first, part.rows) for part in parts]
    assert found == [("a", (0, 2), 0, 120), ("a", (2, 3), 120, 60), ("b", (0, 1), 0, 10)]


def test_kept_columns_are_the_id_all_or_those_that_are_named() -> None:
    columns = ("key", "a", "b")
    assert choose_kept("id", "key", columns) == ("key",)
    assert choose_kept("all", "key", columns) == columns
    assert choose_kept("b, a,b", "key", columns) == ("b", "a")


def test_a_run_is_another_one_where_anything_of_it_differs() -> None:
    facts = ("towns", 1, "run", "mark")
    others = [("ayr", 1, "run", "mark"), ("towns", 2, "run", "mark"), ("towns", 1, "r", "mark")]
    keys = {name_run(*item) for item in (facts, facts, *others, ("towns", 1, "run", "m"))}
    assert len(keys) == 5


@settings(deadline=None)
@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)))
def test_a_moment_survives_as_microseconds(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    assert read_microseconds(count_microseconds(aware)) == aware
