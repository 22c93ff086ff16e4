"""Numbers for people: a value that rounds to zero has no sign, a duration has a unit that fits."""

MINUTE, HOUR = 60.0, 3600.0


def write_fixed(value: float, decimals: int) -> str:
    """Return a number with so many decimals: `-0.31`, `1.20`, and `0.00` also for -0.001."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}"  # -0.0 + 0.0 is 0.0


def format_duration(seconds: float) -> str:
    """Return a duration in words, such as `40 s`, `3 min` or `1.5 h`."""
    if seconds < 2 * MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < 2 * HOUR else f"{seconds / HOUR:.1f} h"
