"""The form in which a released model serves, and how the gateway keeps what it answered."""

from pathlib import PurePath
from typing import Annotated, Literal

from pydantic import Field, model_validator

from sluice.config.section import KeyInvalid, Section

Serving = Literal["auto", "onnx", "sklearn"]
"""`onnx`: float64 preprocessing and the estimator in ONNX; where that does not answer as the
trained model does, the release halts. `auto`: the same, but the trained form serves in its place.
`sklearn`: the trained form, by choice."""
MEGABYTE = 1 << 20


class TrafficLogConfig(Section):
    """How answers are spooled, and how long the traffic log keeps them."""

    segment_bytes: int = Field(16 * MEGABYTE, ge=MEGABYTE, le=1024 * MEGABYTE)
    """Size of a spool segment; each worker holds two, reserved on the disk."""
    remembered_answers: int = Field(100_000, ge=1000, le=10_000_000)
    """Last answers of a replica whose feedback is counted at once; 72 bytes each."""
    batch_rows: int = Field(5000, ge=1000, le=1_000_000)
    """Records that one commit takes; the log-writer commits as soon as there are so many."""
    flush_seconds: float = Field(10.0, ge=0.1, le=3600)
    """How long a record waits for its commit at most."""
    retention_days: float = Field(30.0, gt=0, le=3650)
    """Answers and what belongs to them are deleted after so many days; whole hours go."""
    retention_bytes: int = Field(10 * 1024 * MEGABYTE, ge=MEGABYTE)
    """Size of one service's answers on the disk; beyond it the oldest hours go earlier."""


class AccessLogConfig(Section):
    """The log for people: one line of JSON an answer."""

    level: Literal["off", "errors", "all"] = "errors"
    """`errors`: answers whose assigned arm failed."""
    file: str = ""
    """An absolute path; empty: stderr."""

    @model_validator(mode="after")
    def _file_is_absolute(self) -> "AccessLogConfig":
        if self.file and not PurePath(self.file).is_absolute():
            raise KeyInvalid("file", f"found '{self.file}', allowed: an absolute path")
        return self


class GatewayConfig(Section):
    """Everything about a gateway that is not a service's own."""

    traffic_log: TrafficLogConfig = TrafficLogConfig()
    access_log: AccessLogConfig = AccessLogConfig()
    replicas: tuple[Annotated[str, Field(pattern=r"^https?://[^/\s]+$")], ...] = (
        "http://127.0.0.1:8080",
    )
    """Addresses of all replicas, for a rollout's controller; `SLUICE_GATEWAY_URLS` overrides it."""
