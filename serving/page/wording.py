"""Times, versions, rates and intervals in the words of the page."""

from datetime import UTC, datetime

from serving.page.markup import Html, element
from serving.page.view import Interval


def write_time(at: datetime | None) -> Html:
    """Write a time in UTC, with its date where it was not today."""
    if at is None:
        return element("span", "-")
    utc = at.astimezone(UTC)
    today = utc.date() == datetime.now(UTC).date()
    exact = utc.isoformat(timespec="seconds")
    text = utc.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")
    return element("time", text, datetime=exact, title=exact)


def write_seconds(seconds: float) -> str:
    """Write a duration in seconds, minutes, hours or days."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 172800:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.0f} days"


def write_version(version: int | None) -> str:
    """Write a version as `v3`, or `none`."""
    return f"v{version}" if version else "none"


def write_share(share: float) -> str:
    """Write a share in percent, without trailing zeros."""
    return f"{100 * share:.4g} %"


def write_rate(interval: Interval | None) -> Html:
    """Write a rate in percent with its interval."""
    if interval is None:
        return element("span", "none seen", class_="faint")
    high = "?" if interval.high is None else f"{100 * interval.high:.2f}"
    return _write(f"{100 * interval.value:.2f} %", f"{100 * interval.low:.2f} to {high}")


def write_milliseconds(interval: Interval | None) -> Html:
    """Write a time in milliseconds with its interval."""
    if interval is None:
        return element("span", "none seen", class_="faint")
    high = "?" if interval.high is None else f"{interval.high:,.1f}"
    return _write(f"{interval.value:,.1f} ms", f"{interval.low:,.1f} to {high}")


def _write(figure: str, bounds: str) -> Html:
    return element("span", figure, " ", element("small", bounds), class_="figure")


def write_age(at: datetime, now: datetime) -> str:
    """Write how long ago something was, in words that do not change each second."""
    seconds = (now - at).total_seconds()
    return "less than a minute ago" if seconds < 60 else f"{write_seconds(max(seconds, 90))} ago"
