"""The identity of a data version: hashes of its schema and of its rows."""

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

FIRST_ROWS = 5_000


@dataclass(frozen=True)
class DataVersion:
    """One version of a Delta table, and the hashes that identify its content.

    `schema_hash` and `content_hash` are hexadecimal sha256; the content hash does not depend on the
    order of rows or files.
    """

    uri: str
    version: int
    rows: int
    schema_hash: str
    content_hash: str


def hash_schema(schema: pa.Schema) -> str:
    """Return the hexadecimal sha256 of the column names and types, in any column order."""
    lines = sorted(f"{field.name}:{_plain_type(field.type)}" for field in schema)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def hash_content(table: pa.Table) -> str:
    """Return the hexadecimal sha256 of the rows in any order.

    Rows are sorted by all columns, those with most distinct values first, so that few ties are
    left; then each column's validity and values are hashed. Equal rows are counted each.
    """
    table = _plain_table(table)
    digest = hashlib.sha256(f"{hash_schema(table.schema)}:{table.num_rows}".encode())
    if table.num_rows:
        keys = [(name, "ascending") for name in _order_columns(table)]
        table = table.take(pc.sort_indices(table, keys))
    for name in sorted(table.column_names):
        _add_column(digest, table[name].combine_chunks())
    return digest.hexdigest()


def _order_columns(table: pa.Table) -> list[str]:
    """Return the columns to sort by, those with most distinct values first.

    The first one by name whose values all differ is enough: no ties are left.
    """
    names = sorted(table.column_names)
    for name in names:
        # Most columns repeat a value within a few rows, which is found without counting all.
        if _all_differ(table[name].slice(0, FIRST_ROWS)) and _all_differ(table[name]):
            return [name]
    distinct = {name: pc.count_distinct(table[name]).as_py() for name in names}
    return sorted(names, key=lambda name: (-distinct[name], name))


def _all_differ(column: pa.ChunkedArray) -> bool:
    return bool(pc.count_distinct(column).as_py() == len(column))


def _plain_table(table: pa.Table) -> pa.Table:
    """Return a table without encodings that have no meaning: dictionaries, views, NaN, -0."""
    columns = {name: _plain_column(table[name]) for name in table.column_names}
    return pa.table(columns)


def _plain_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    column = column.cast(_plain_type(column.type))
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        column = pc.add(column, pa.scalar(0.0, column.type))
    return column


def _plain_type(kind: pa.DataType) -> pa.DataType:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    text = (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )
    return pa.large_string() if text else kind


def _join_text(text: pa.Array) -> memoryview:
    """Return the bytes of all cells of a large string array, one after the other."""
    _, offsets, content = text.buffers()
    ends = np.frombuffer(offsets, dtype=np.int64)[text.offset : text.offset + len(text) + 1]
    first, last = (int(ends[0]), int(ends[-1])) if len(text) else (0, 0)
    return memoryview(content or b"")[first:last]


def _add_column(digest: "hashlib._Hash", column: pa.Array | pa.ChunkedArray) -> None:
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    digest.update(pc.is_valid(column).cast(pa.uint8()).to_numpy(zero_copy_only=False).tobytes())
    if pa.types.is_large_string(column.type):
        text = pc.fill_null(column, "")
        lengths = pc.binary_length(text).to_numpy(zero_copy_only=False).astype("<i8")
        digest.update(lengths.tobytes())
        digest.update(_join_text(text))
        return
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("us")).cast(pa.int64())
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    values = pc.fill_null(column, pa.scalar(0, column.type)).to_numpy(zero_copy_only=False)
    digest.update(values.astype(values.dtype.newbyteorder("<")).tobytes())
