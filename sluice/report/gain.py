"""A gain in one sentence, for the timeline of a service."""

from sluice.stats.bootstrap import Estimate
from sluice.stats.gain import LiveGain


def describe_gain(gain: LiveGain, version: int, previous: int, unread: int = 0) -> str:
    """Return both figures, the gain with its interval, and what it means.

    `unread` is the number of labels that could not be compared with their answer.
    """
    text = (
        f"live {gain.metric} {_write(gain.after)} of v{version}, {_write(gain.before)} of "
        f"v{previous} before"
    )
    if gain.gain.interval and gain.gain.value is not None:
        low, high = gain.gain.interval
        text += f": gain {gain.gain.value:+.3g} [{low:+.3g}, {high:+.3g}], {gain.conclusion}"
    else:
        text += f": {gain.conclusion}"
    return text + (f"; {unread:,} labels could not be compared" if unread else "")


def _write(side: Estimate) -> str:
    figure = "not measured" if side.value is None else f"{side.value:.3g}"
    return f"{figure} (n {side.n:,})"
