"""The content hash depends on the rows only."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.data.version import hash_content, hash_schema

ROWS = st.lists(
    st.tuples(
        st.integers(-5, 5),
        st.none() | st.sampled_from([0.0, -0.0, 1.5, float("nan")]),
        st.none() | st.sampled_from(["", "a", "ab", "b"]),
        st.none() | st.booleans(),
    ),
    min_size=1,
    max_size=12,
)
KINDS = {"key": pa.int64(), "size": pa.float64(), "name": pa.string(), "flag": pa.bool_()}


def make_table(rows: list[tuple[object, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True)
    return pa.table(
        {
            name: pa.array(values, kind)
            for (name, kind), values in zip(KINDS.items(), columns, strict=True)
        }
    )


def canonical(rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    plain = [tuple(None if v != v else v for v in row) for row in rows]  # noqa: PLR0124 - NaN
    return sorted(((row[0], row[1] or row[1], *row[2:]) for row in plain), key=repr_zero)


def repr_zero(row: tuple[object, ...]) -> str:
    return repr(tuple(0.0 if value == 0.0 and isinstance(value, float) else value for value in row))


@given(ROWS, st.randoms())
def test_order_of_rows_does_not_matter(rows: list[tuple[object, ...]], random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert hash_content(make_table(rows)) == hash_content(make_table(shuffled))


@given(ROWS, ROWS)
def test_equal_hashes_mean_equal_rows(
    first: list[tuple[object, ...]], second: list[tuple[object, ...]]
) -> None:
    same = hash_content(make_table(first)) == hash_content(make_table(second))
    rows = [[repr_zero(row) for row in canonical(part)] for part in (first, second)]
    assert same == (rows[0] == rows[1])


@given(ROWS)
def test_order_of_columns_and_chunks_does_not_matter(rows: list[tuple[object, ...]]) -> None:
    table = make_table(rows)
    halves = pa.concat_tables([table[: len(rows) // 2], table[len(rows) // 2 :]])
    assert hash_content(table) == hash_content(halves.select(list(reversed(KINDS))))


def test_encoding_of_text_does_not_matter() -> None:
    plain = pa.table({"name": pa.array(["a", None, "b"])})
    for kind in (pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())):
        other = plain.cast(pa.schema([("name", kind)]))
        assert hash_content(other) == hash_content(plain)
        assert hash_schema(other.schema) == hash_schema(plain.schema)


def test_a_repeated_row_changes_the_hash() -> None:
    table = pa.table({"key": [1, 2]})
    assert hash_content(pa.table({"key": [1, 2, 2]})) != hash_content(table)


def test_a_type_changes_the_hash() -> None:
    assert hash_content(pa.table({"key": pa.array([1], pa.int32())})) != hash_content(
        pa.table({"key": pa.array([1], pa.int64())})
    )


def test_text_cannot_move_between_cells() -> None:
    first, second = pa.table({"name": ["ab", "c"]}), pa.table({"name": ["a", "bc"]})
    assert hash_content(first) != hash_content(second)


def test_times_are_hashed() -> None:
    early, late = (
        pa.table({"seen": pa.array([moment, None], pa.timestamp("us", "UTC"))}) for moment in (1, 2)
    )
    assert hash_content(early) != hash_content(late)


def test_an_empty_table_has_a_hash() -> None:
    assert len(hash_content(pa.table({"key": pa.array([], pa.int64())}))) == 64


def hash_as_defined(table: pa.Table) -> str:
    """Return the hash by its definition: rows sorted by all columns, then every column's cells."""
    names = sorted(table.column_names)
    distinct = {name: pc.count_distinct(table[name]).as_py() for name in names}
    keys = sorted(names, key=lambda name: (-distinct[name], name))
    table = table.take(pc.sort_indices(table, [(name, "ascending") for name in keys]))
    digest = hashlib.sha256(f"{hash_schema(table.schema)}:{table.num_rows}".encode())
    for name in names:
        cells = table[name].to_pylist()
        digest.update(bytes(value is not None for value in cells))
        if pa.types.is_string(table[name].type):
            text = [(value or "").encode() for value in cells]
            digest.update(np.array([len(value) for value in text], "<i8").tobytes())
            digest.update(b"".join(text))
        else:
            digest.update(np.array([value or 0 for value in cells], "<i8").tobytes())
    return digest.hexdigest()


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.none() | st.text(max_size=3), st.integers(0, 2)),
        min_size=1,
        max_size=30,
    ),
    st.integers(0, 3),
)
def test_hash_is_that_of_its_definition(
    rows: list[tuple[int, str | None, int]], start: int
) -> None:
    first, second, third = zip(*rows, strict=True)
    columns = {"b": pa.array(first), "a": pa.array(second, pa.string()), "c": pa.array(third)}
    table = pa.table(columns).slice(min(start, len(rows) - 1))
    assert hash_content(table) == hash_as_defined(table)
    keyed = table.append_column("key", pa.array(range(table.num_rows, 0, -1)))
    assert hash_content(keyed) == hash_as_defined(keyed)
