"""Recorded counts as traffic: a service's real blocks, split at random between the arms."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sluice.errors import DataInvalid
from sluice.rollout.simulation.traffic import BlockCounts, Floats, Indices, Traffic

COLUMNS = ("block", "n_c", "k_c", "n_b", "k_b")


@dataclass(frozen=True)
class Recording:
    """Recorded counts, one row per block in the order of time: n_c, k_c, n_b, k_b."""

    counts: NDArray[np.int64]

    @property
    def has_candidate(self) -> bool:
        """Whether a candidate's requests were recorded beside the champion's."""
        return bool(self.counts[:, 0].any())

    @property
    def rate(self) -> float:
        """The champion's share of failed requests."""
        return float(self.counts[:, 3].sum() / max(int(self.counts[:, 2].sum()), 1))


class RecordedArrivals:
    """The champion's recorded blocks from a random one on, each split at random into two arms.

    Incidents of the service affect both arms alike: a healthy candidate fails exactly as often as
    the recorded requests that it gets.
    """

    def __init__(
        self, recording: Recording, traffic: Traffic, runs: int, rng: np.random.Generator
    ) -> None:
        self.n, self.k = recording.counts[:, 2], recording.counts[:, 3]
        self.traffic, self.rng, self.weight = traffic, rng, 0.0
        self.at = rng.integers(0, len(self.n), runs)

    def open_stage(self, weight: float, blocks: int) -> None:
        """Begin a stage with the candidate's share of traffic."""
        self.weight = weight

    def draw(self, runs: Indices, clock: Floats) -> BlockCounts:
        """Return the next block of the chosen rollouts."""
        at = self.at[runs]
        self.at[runs] = (at + 1) % len(self.n)
        n, k = self.n[at], self.k[at]
        if self.weight == 0:
            n_c, k_c, n_b, k_b = n, self.rng.binomial(n, k / np.maximum(n, 1)), n, k
        else:
            n_c = self.rng.binomial(n, self.weight)
            k_c = self.rng.hypergeometric(k, n - k, n_c)
            n_b, k_b = n - n_c, k - k_c
        added = np.clip(self.traffic.added_errors(clock), 0, 1)
        k_c = k_c + self.rng.binomial(n_c - k_c, added)
        return BlockCounts(*(np.asarray(item, dtype=float) for item in (n_c, k_c, n_b, k_b)))


class ReplayArrivals:
    """Both arms exactly as recorded, for any stage's weight; no requests after the last row.

    The rows before the candidate's first request are the champion's history.
    """

    def __init__(self, recording: Recording, runs: int, history: int) -> None:
        self.counts, self.runs = recording.counts.astype(float), runs
        self.at = int(np.argmax(recording.counts[:, 0] > 0)) - history

    def open_stage(self, weight: float, blocks: int) -> None:
        """Begin a stage; it does not change the recorded arms."""

    def draw(self, runs: Indices, clock: Floats) -> BlockCounts:
        """Return the next recorded row for each of the chosen rollouts."""
        inside = 0 <= self.at < len(self.counts)
        row = self.counts[self.at] if inside else np.zeros(4)
        self.at += 1
        return BlockCounts(*(np.full(len(runs), figure) for figure in row))


def read_recording(path: Path) -> Recording:
    """Read a CSV with the columns block, n_c, k_c, n_b, k_b; one row per control tick.

    Raises:
        DataInvalid: the file cannot be read, a column is missing, or a count is impossible.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
            rows = [] if missing else [_read_row(path, reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataInvalid(f"{path}: cannot be read as CSV: {error}") from error
    if missing:
        raise DataInvalid(
            f"{path}: no column '{missing[0]}'; needed: {', '.join(COLUMNS)}, one row per block"
        )
    if not rows:
        raise DataInvalid(f"{path}: holds no row; needed: one per block")
    counts = np.array(rows, dtype=np.int64)
    if not counts[:, 2].sum():
        raise DataInvalid(f"{path}: n_b is 0 in every row; needed: the champion's requests")
    return Recording(counts)


def _read_row(path: Path, line: int, row: dict[str, str]) -> list[int]:
    values = {}
    for name in COLUMNS[1:]:
        text = row[name] or ""
        if not text.strip().isdecimal():
            raise DataInvalid(f"{path}:{line}: {name}: found '{text}'; allowed: a whole number")
        values[name] = int(text)
    for part, whole in (("k_c", "n_c"), ("k_b", "n_b")):
        if values[part] > values[whole]:
            raise DataInvalid(
                f"{path}:{line}: {part}: found {values[part]}; allowed: up to {whole} "
                f"({values[whole]})"
            )
    return list(values.values())
