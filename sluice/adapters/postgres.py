"""What every connection to Postgres has in common."""

from sqlalchemy import URL


def join_options(url: URL, ours: str) -> str:
    """Return the server's options of an address, then ours, which win where both set one.

    The driver takes one text for both: ours alone would drop `?options=-csearch_path=NAME`.
    """
    given = url.query.get("options", ())
    return " ".join((*((given,) if isinstance(given, str) else given), ours))
