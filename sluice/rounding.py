"""Numbers for people: a value that rounds to zero has no sign."""


def write_fixed(value: float, decimals: int) -> str:
    """Return a number with so many decimals: `-0.31`, `1.20`, and `0.00` also for -0.001."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}"  # -0.0 + 0.0 is 0.0
