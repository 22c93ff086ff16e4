"""How the performance of the serving version is judged on labelled traffic."""

from pydantic import Field

from sluice.config.yaml_file import Section


class PerformanceConfig(Section):
    """Windows of labelled answers, and when their figures count as a drop."""

    window: int = Field(500, ge=100, le=100_000)
    """Labelled answers of a window; each window is judged once."""
    alpha: float = Field(0.001, gt=0.0, le=0.05)
    """Probability that a window without a change alarms, for each of its two tests."""
    drop: float = Field(0.05, gt=0.0, lt=1.0)
    """Relative drop of the primary metric from which a window alarms, if it is proved at all."""
    recovery: int = Field(2, ge=1, le=100)
    """Windows in a row without an alarm after which the performance counts as recovered."""
    maturity_hours: float = Field(0.0, ge=0.0, le=24 * 365)
    """Hours after an answer's first label in which a correction of it still counts."""
    settle_seconds: float = Field(120.0, ge=0.0, le=86_400.0)
    """Age of a label, in seconds, from which it is read: the log of every replica is there then."""
