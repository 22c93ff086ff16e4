"""A query on a real database: its rows by kind, its new rows, and the messages of its errors."""

import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.sources.sql import find_rows, read_rows
from sluice.config.data import DataConfig, SqlSource
from sluice.config.reading import ReadingConfig
from sluice.errors import ConfigInvalid, DataInvalid, DataUnavailable
from support.releases.shop import Shop

CONFIG = DataConfig(
    id="key",
    target="sold",
    columns={
        "key": "integer",
        "price": "number",
        "name": "text",
        "sold": "boolean",
        "at": "timestamp",
    },
    features=("price",),
    suite="shop",
)
COLUMNS = "key, price, name, sold, at"


def ask(query: str, watermark: str = "", variable: str = "SHOP_DATABASE") -> SqlSource:
    return SqlSource(kind="sql", url_variable=variable, query=query, watermark=watermark)


def read(source: SqlSource, before: str = "") -> list[dict[str, Any]]:
    return read_rows(source, before, CONFIG).table.to_pylist()


def follow(source: SqlSource, before: str = "") -> str:
    found = find_rows(source, before)
    assert found is not None
    return found.mark


def test_rows_have_the_kinds_of_the_service(shop: Shop) -> None:
    noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    assert read(ask(f"SELECT {COLUMNS} FROM shop ORDER BY key;  ")) == [
        {"key": 1, "price": 2.5, "name": "a", "sold": True, "at": noon},
        {"key": 2, "price": None, "name": None, "sold": None, "at": None},
    ]


@pytest.mark.parametrize("watermark", ["seen", "page", "name", "price"])
def test_since_reads_everything_first_and_then_what_is_newer(shop: Shop, watermark: str) -> None:
    columns = COLUMNS if watermark in COLUMNS else f"{COLUMNS}, {watermark}"
    source = ask(f"SELECT {columns} FROM shop WHERE {watermark} > :since -- newest", watermark)
    shop.run("UPDATE shop SET name = 'b', price = 3.5 WHERE key = 2")
    first = follow(source)
    assert [row["key"] for row in read(source)] == [1, 2]
    assert find_rows(source, first) is None
    shop.add_later()
    assert follow(source, first) != first
    assert [row["key"] for row in read(source, first)] == [3]


def test_without_a_watermark_any_change_of_the_result_is_found(shop: Shop) -> None:
    source = ask(f"SELECT {COLUMNS} FROM shop")
    first = follow(source)
    assert find_rows(ask(f"SELECT {COLUMNS} FROM shop ORDER BY key DESC"), first) is None
    shop.run("UPDATE shop SET price = 3 WHERE key = 2")
    assert follow(source, first) != first


def test_an_empty_result_is_no_delivery(shop: Shop) -> None:
    assert find_rows(ask(f"SELECT {COLUMNS} FROM shop WHERE key > 9"), "") is None
    assert find_rows(ask(f"SELECT {COLUMNS}, page FROM shop WHERE key > 9", "page"), "") is None


def test_many_rows_come_in_chunks(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluice.adapters.sources.sql.CHUNK", 1)
    assert [row["key"] for row in read(ask(f"SELECT {COLUMNS} FROM shop"))] == [1, 2]
    price = "CASE key WHEN 1 THEN NULL ELSE 'b' END AS price"
    with pytest.raises(DataInvalid, match=r"row 2: column 'price': found 'b'.*allowed: number"):
        read(ask(f"SELECT key, {price}, name, sold, at FROM shop"))


WRONG = {
    "no such table": ("SELECT * FROM shops", "shops"),
    "no such column": ("SELECT nothing FROM shop", "nothing"),
    "no SQL": ("SELECTED * FROM shop", "SELECTED"),
    "column missing": ("SELECT key, price FROM shop", "column 'name' is missing"),
    "column unknown": (f"SELECT {COLUMNS}, page FROM shop", "column 'page' is unknown"),
    "text for each time": (
        "SELECT key, price, name, sold, 'a' AS at FROM shop",
        "row 1: column 'at': found 'a', allowed: a time such as 2024-05-01 12:00:00, in UTC",
    ),
    "id twice": ("SELECT 1 AS key, price, name, sold, at FROM shop", "given more than once"),
    "id missing": ("SELECT NULL AS key, price, name, sold, at FROM shop", "have no id"),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_an_error_has_the_databases_message_or_ours(shop: Shop, name: str) -> None:
    query, words = WRONG[name]
    with pytest.raises(DataInvalid) as caught:
        read(ask(query))
    assert str(caught.value).startswith("SHOP_DATABASE: ")
    assert words in str(caught.value)


def test_a_watermark_that_the_result_does_not_have_is_refused(shop: Shop) -> None:
    source = ask(f"SELECT {COLUMNS} FROM shop", "nothing")
    with pytest.raises(DataInvalid, match="nothing"):
        find_rows(source, "")
    with pytest.raises(DataInvalid, match="no column 'nothing', the watermark"):
        read(source)


def test_a_watermark_without_a_value_is_refused(shop: Shop) -> None:
    shop.run("UPDATE shop SET page = NULL")
    with pytest.raises(DataInvalid, match=r"the watermark is null in all 2 rows.*next: name anoth"):
        find_rows(ask(f"SELECT {COLUMNS}, page FROM shop", "page"), "")


@pytest.mark.parametrize("highest", ["99", "-1.5", "31.12.2025", "1/2/26 10:00"])
def test_text_in_another_order_than_its_values_is_no_watermark(shop: Shop, highest: str) -> None:
    shop.run(f"UPDATE shop SET name = '{highest}'")
    with pytest.raises(DataInvalid, match=r"the watermark is text.*next: in the query, CAST"):
        find_rows(ask(f"SELECT {COLUMNS} FROM shop", "name"), "")


@pytest.mark.parametrize("highest", ["2026-01-31 10:00", "20260131", "20260131100000", "01HF3Z"])
def test_text_in_the_order_of_its_values_is_a_watermark(shop: Shop, highest: str) -> None:
    shop.run(f"UPDATE shop SET name = '{highest}'")
    assert highest in follow(ask(f"SELECT {COLUMNS} FROM shop", "name"))


def test_a_query_cannot_write(shop: Shop) -> None:
    with pytest.raises(DataInvalid, match=r"readonly|syntax error"):
        read(ask("DELETE FROM shop WHERE key = 1 RETURNING key, price, name, sold, at"))
    assert len(read(ask(f"SELECT {COLUMNS} FROM shop"))) == 2


def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOP_DATABASE", raising=False)
    with pytest.raises(ConfigInvalid, match="the environment variable SHOP_DATABASE is not set"):
        read(ask("SELECT 1"))


@pytest.mark.parametrize(
    "url",
    [
        "no url",
        # pragma: allowlist nextline secret
        "mysql://me:hidden@host/shop",
        # pragma: allowlist nextline secret
        "postgresql://me:hidden@host:hidden/shop",
        "sqlite://",
    ],
)
def test_a_url_that_is_none_is_refused_without_showing_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_DATABASE", url)
    with pytest.raises(ConfigInvalid, match=r"SHOP_DATABASE contains .*allowed: sqlite:") as caught:
        read(ask("SELECT 1"))
    assert "hidden" not in f"{caught.value}{caught.value.__cause__}"


def test_a_missing_file_is_an_infrastructure_error_and_is_not_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_DATABASE", f"sqlite:///{tmp_path / 'gone.db'}")
    with pytest.raises(DataUnavailable, match="unable to open database file"):
        read(ask("SELECT 1"))
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_answer_is_an_infrastructure_error_without_the_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("psycopg")
    with socket.socket() as probe:  # bound, and no process listens
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        # pragma: allowlist nextline secret
        monkeypatch.setenv("SHOP_DATABASE", f"postgresql://me:hidden@127.0.0.1:{port}/shop")
        with pytest.raises(DataUnavailable, match="SHOP_DATABASE: the database: ") as caught:
            read(ask("SELECT 1"))
    assert "hidden" not in f"{caught.value}{caught.value.__cause__}"


@pytest.mark.slow
def test_a_password_in_the_servers_message_is_hidden(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.replace("sluice@", "me:hidden@")
    monkeypatch.setenv("SHOP_DATABASE", f"{url}/hidden")
    with pytest.raises(DataUnavailable) as caught:
        read(ask("SELECT 1"))
    assert "***" in str(caught.value) or "me" in str(caught.value)
    assert "hidden" not in f"{caught.value}{caught.value.__cause__}"


def test_a_cell_that_is_no_time_costs_its_row_only(shop: Shop) -> None:
    times = "CASE key WHEN 1 THEN 'unknown' ELSE '2024-05-02 12:00:00+02:00' END"
    found = read_rows(ask(f"SELECT key, price, name, sold, {times} AS at FROM shop"), "", CONFIG)
    assert found.table["key"].to_pylist() == [2]
    assert found.table["at"].to_pylist() == [datetime(2024, 5, 2, 10, tzinfo=UTC)]
    assert [cell.describe() for cell in found.refused] == [
        "row 1: column 'at': found 'unknown', allowed: a time such as 2024-05-01 12:00:00, in UTC "
        "where it has no zone"
    ]
    assert found.refused_rows.to_pylist()[0] == {
        "key": 1, "price": 2.5, "name": "a", "sold": True, "at": "unknown",
    }  # fmt: skip


def test_times_without_a_zone_are_in_the_configured_one(shop: Shop) -> None:
    config = CONFIG.model_copy(update={"reading": ReadingConfig(zone="Europe/Berlin")})
    query = f"SELECT {COLUMNS.replace('at', chr(39) + '2024-05-01 12:00' + chr(39) + ' AS at')}"
    found = read_rows(ask(f"{query} FROM shop"), "", config)
    assert found.table["at"].to_pylist() == [datetime(2024, 5, 1, 10, tzinfo=UTC)] * 2
