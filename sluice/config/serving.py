"""Settings of serving: the backend of a released model, and the gateway."""

from pathlib import PurePath
from typing import Annotated, Literal

from pydantic import Field, model_validator

from sluice.config.yaml_file import KeyInvalid, Section

Serving = Literal["auto", "onnx", "sklearn"]
"""`onnx`: the ONNX export, with preprocessing in float64; where its answers differ from the native
model's, the release halts. `auto`: the same, but then the native model serves. `sklearn`: the
native model."""
MEGABYTE = 1 << 20
HOST = r"^(\*|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])$"
"""A host name, an IPv4 address, an IPv6 address in brackets, or * for any."""


class TrafficLogConfig(Section):
    """How answers are spooled, and how long the traffic log keeps them."""

    segment_bytes: int = Field(16 * MEGABYTE, ge=MEGABYTE, le=1024 * MEGABYTE)
    """Size of a spool segment; each worker holds two, reserved on the disk."""
    remembered_answers: int = Field(100_000, ge=1000, le=10_000_000)
    """Last answers of a replica whose feedback is counted live; 72 bytes each."""
    batch_rows: int = Field(5000, ge=1000, le=1_000_000)
    """Records of one commit; the log-writer commits as soon as there are so many."""
    flush_seconds: float = Field(10.0, ge=0.1, le=3600)
    """Longest wait of a record for its commit."""
    retention_days: float = Field(30.0, gt=0, le=3650)
    """Answers, shadow calls and feedback are deleted after so many days, by whole hours."""
    retention_bytes: int = Field(10 * 1024 * MEGABYTE, ge=MEGABYTE)
    """Size of one service's answers on disk; beyond it the oldest hours are deleted earlier."""


class AccessLogConfig(Section):
    """The access log, for people: one line of JSON per answer."""

    level: Literal["off", "errors", "all"] = "errors"
    """`errors`: only answers whose assigned arm failed."""
    file: str = ""
    """An absolute path; empty: stderr."""

    @model_validator(mode="after")
    def _file_is_absolute(self) -> "AccessLogConfig":
        if self.file and not PurePath(self.file).is_absolute():
            raise KeyInvalid("file", f"found '{self.file}', allowed: an absolute path")
        return self


class LimitsConfig(Section):
    """Limits of a worker: sizes of requests, their number, connections, and time limits."""

    header_bytes: int = Field(32 * 1024, ge=1024, le=MEGABYTE)
    """Largest request line with its headers; more is 431."""
    header_seconds: float = Field(10.0, gt=0, le=600)
    """How long a caller may take to send them; a new connection also has this time to begin."""
    body_bytes: int = Field(MEGABYTE, ge=1024, le=4 * MEGABYTE)
    """Largest body; more is 413, before all of it was read."""
    body_seconds: float = Field(10.0, gt=0, le=600)
    """How long a caller may take to send its body."""
    stall_seconds: float = Field(5.0, gt=0, le=600)
    """Longest pause in a body, and longest time in which a caller takes no byte of its replies."""
    idle_seconds: float = Field(75.0, gt=0, le=3600)
    """How long a connection is kept open without a request."""
    connections: int = Field(1000, ge=8, le=100_000)
    """Open connections of one process; fewer where half of its file handles are fewer. For one
    more, the connection is closed that has waited longest without a whole request."""
    connections_per_address: int = Field(500, ge=4, le=100_000)
    """The same for the connections from one address."""
    incoming_bytes: int = Field(64 * MEGABYTE, ge=MEGABYTE, le=4096 * MEGABYTE)
    """Bytes of all requests of one process that have not come as a whole; at least four bodies."""
    in_flight: int = Field(256, ge=1, le=100_000)
    """Whole requests of one worker at a time; more are 503 at once."""
    language_in_flight: int = Field(256, ge=1, le=100_000)
    """Requests of one worker to prompts and language models at a time; more are 503 at once."""
    champion_seconds: float = Field(10.0, gt=0, le=600)
    """How long a champion may take that answers off the event loop; it has no fallback."""
    notice_seconds: float = Field(0.0, ge=0, le=600)
    """After SIGTERM: how long a worker still accepts requests while `/readyz` is 503."""
    drain_seconds: float = Field(10.0, gt=0, le=600)
    """After that: how long requests in flight may take to finish."""

    @model_validator(mode="after")
    def _several_bodies_fit(self) -> "LimitsConfig":
        if self.incoming_bytes < 4 * self.body_bytes:
            least = f"allowed: at least {4 * self.body_bytes}, four times body_bytes"
            raise KeyInvalid("incoming_bytes", f"found {self.incoming_bytes}, {least}")
        return self


class FetchingConfig(Section):
    """Limits of the process that fetches one version from the registry and proves it."""

    seconds: float = Field(300.0, ge=1, le=86_400)
    """How long the registry may take for its files."""
    proof_seconds: float = Field(60.0, ge=1, le=3600)
    """How long it may take to load and to answer its sample; a longer one is refused."""
    memory_bytes: int = Field(2048 * MEGABYTE, ge=512 * MEGABYTE)
    """Memory that it may use (on Linux), and the size of each file; a larger one is refused."""


class WatchdogConfig(Section):
    """How long a process of the gateway may stand still before it is ended and started again."""

    worker_seconds: float = Field(10.0, ge=1, le=3600)
    fetcher_seconds: float = Field(60.0, ge=1, le=3600)
    """It waits for the control store's database within each step."""
    log_writer_seconds: float = Field(300.0, ge=1, le=3600)
    """Compaction of a large hour of a table is one step."""


class PageConfig(Section):
    """Address of the status page; its keys are those of the gateway with `+control`."""

    host: str = "127.0.0.1"
    """Address to listen at; everyone who reaches it may read."""
    port: int = Field(8090, ge=1, le=65535)


class GatewayConfig(Section):
    """All settings of a gateway that do not belong to one service."""

    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 is every network of the machine."""
    port: int = Field(8080, ge=1, le=65535)
    workers: int = Field(2, ge=1, le=256)
    """Processes that answer; they share only files and the port."""
    spare_worker: bool = True
    """Whether one more process waits to take the place of a worker that dies."""
    hosts: tuple[Annotated[str, Field(pattern=HOST)], ...] = ()
    """Names by which callers reach gateway and page, besides loopback, without ports; `*`: any."""
    keys_file: str = ""
    """File of API keys, an absolute path; empty: the keys of SLUICE_GATEWAY_KEYS, if any."""
    limits: LimitsConfig = LimitsConfig()
    traffic_log: TrafficLogConfig = TrafficLogConfig()
    access_log: AccessLogConfig = AccessLogConfig()
    fetching: FetchingConfig = FetchingConfig()
    watchdog: WatchdogConfig = WatchdogConfig()
    page: PageConfig = PageConfig()
    replicas: tuple[Annotated[str, Field(pattern=r"^https?://[^/\s]+$")], ...] = ()
    """Addresses of all replicas, for a rollout's controller; empty: 127.0.0.1 at `port`."""

    @model_validator(mode="after")
    def _body_fits_a_segment(self) -> "GatewayConfig":
        most = self.traffic_log.segment_bytes // 4
        if self.limits.body_bytes > most:
            found = f"found {self.limits.body_bytes}"
            words = f"{found}, allowed: at most {most}, a quarter of traffic_log.segment_bytes"
            raise KeyInvalid("limits.body_bytes", words)
        return self

    @model_validator(mode="after")
    def _keys_file_is_absolute(self) -> "GatewayConfig":
        if self.keys_file and not PurePath(self.keys_file).is_absolute():
            raise KeyInvalid("keys_file", f"found '{self.keys_file}', allowed: an absolute path")
        return self
