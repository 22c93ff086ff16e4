"""A shop's table for the tests of SQL sources, on each kind of database."""

import sqlite3

MAKE = "CREATE TABLE shop (key INTEGER PRIMARY KEY, price {decimal}, name TEXT, sold {boolean}, \
at {time}, seen {time}, page INTEGER)"
ROWS = [
    "(1, 2.50, 'a', {yes}, '2024-05-01 12:00:00', '2024-05-01 12:00:00', 10)",
    "(2, NULL, NULL, NULL, NULL, '2024-05-02 12:00:00', 20)",
]
LATER = "(3, 7.25, 'c', {yes}, '2024-05-03 12:00:00', '2024-05-03 12:00:00', 30)"
WORDS = {
    "sqlite": {"decimal": "REAL", "boolean": "INTEGER", "time": "TEXT", "yes": "1"},
    "postgres": {
        "decimal": "NUMERIC(9, 2)",
        "boolean": "BOOLEAN",
        "time": "TIMESTAMPTZ",
        "yes": "true",
    },
}


class Shop:
    """A database behind the variable SHOP_DATABASE."""

    def __init__(self, kind: str, url: str) -> None:
        self.kind, self.url = kind, url

    def run(self, statement: str) -> None:
        words = statement.format(**WORDS[self.kind])
        if self.kind == "sqlite":
            with sqlite3.connect(self.url.removeprefix("sqlite:///")) as connection:
                connection.execute(words)
            connection.close()
            return
        import psycopg

        with psycopg.connect(self.url) as server:
            server.execute("SET timezone TO 'UTC'")
            server.execute(words)  # type: ignore[arg-type]

    def add_later(self) -> None:
        self.run(f"INSERT INTO shop VALUES {LATER}")
