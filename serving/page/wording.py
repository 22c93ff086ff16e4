"""Times, rates and intervals as the page writes them."""

from datetime import UTC, datetime

from serving.page.markup import Html, element
from serving.page.view import Bound


def write_time(at: datetime | None) -> Html:
    """Give a time in UTC, with its date where it was not today."""
    if at is None:
        return element("span", "-")
    utc = at.astimezone(UTC)
    today = utc.date() == datetime.now(UTC).date()
    exact = utc.isoformat(timespec="seconds")
    words = utc.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")
    return element("time", words, datetime=exact, title=exact)


def write_version(version: int | None) -> str:
    """Give a version's name."""
    return f"v{version}" if version else "none"


def write_share(share: float) -> str:
    """Give a share in percent, with digits only where it has them."""
    return f"{100 * share:.4g} %"


def write_rate(bound: Bound | None) -> Html:
    """Give a rate with its interval."""
    if bound is None:
        return element("span", "none seen", class_="faint")
    high = "?" if bound.high is None else f"{100 * bound.high:.2f}"
    return _write(f"{100 * bound.value:.2f} %", f"{100 * bound.low:.2f} to {high}")


def write_milliseconds(bound: Bound | None) -> Html:
    """Give a time in milliseconds with its interval."""
    if bound is None:
        return element("span", "none seen", class_="faint")
    high = "?" if bound.high is None else f"{bound.high:,.1f}"
    return _write(f"{bound.value:,.1f} ms", f"{bound.low:,.1f} to {high}")


def _write(figure: str, interval: str) -> Html:
    return element("span", figure, " ", element("small", interval), class_="figure")
