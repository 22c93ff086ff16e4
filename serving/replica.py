"""A replica's counters: its workers' lives, and the sum of those that are cleared away."""

import shutil
from pathlib import Path
from typing import Any

import msgspec

from serving.counters import Counters
from serving.counts import Counts, Key
from serving.life import Life, list_lives
from serving.slots import Slots, read_slots
from serving.snapshot import Snapshot

PAST = "past"
REMEMBERED = 256


class Past(msgspec.Struct, frozen=True):
    """What lives counted whose folders are gone, or about to go."""

    lives: list[str] = []
    """The last of them: their folders, or what somebody read of them, may still be there."""
    entries: list[tuple[Key, Counts]] = []


def read_past(replica: Path) -> Past:
    """Give the sum of the lives that were cleared away."""
    content = read_slots(replica / PAST)
    return msgspec.msgpack.decode(content, type=Past) if content else Past()


def read_lives(replica: Path) -> dict[Life, Snapshot]:
    """Give each life's newest snapshot."""
    return {life: life.read() for life in list_lives(replica)}


def sum_counters(replica: Path) -> Counters:
    """Give everything that the replica ever counted; it only grows."""
    snapshots = read_lives(replica)
    past = read_past(replica)  # after the lives: one that was cleared away meanwhile stands here
    total = Counters(dict(past.entries))
    for life, snapshot in snapshots.items():
        if life.name not in past.lives:
            total.merge(snapshot.restore())
    return total


def export_lives(replica: Path) -> list[dict[str, Any]]:
    """Give each life's counters as plain values, for a controller that scrapes them."""
    return [
        {
            "life": life.name,
            "started": life.started,
            "final": snapshot.final,
            "counters": snapshot.restore().export(),
        }
        for life, snapshot in read_lives(replica).items()
    ]


def clear_life(replica: Path, life: Life) -> None:
    """Add a settled life to the past, and remove its folder; a kill in between changes no sum.

    Raises:
        ValueError: the life is not settled.
        OSError: the sum cannot be written; nothing has changed.
    """
    snapshot = life.read()
    past = read_past(replica)
    if life.name not in past.lives:
        if not snapshot.final:
            raise ValueError(f"{life.name}: is not settled")
        total = Counters(dict(past.entries))
        total.merge(snapshot.restore())
        slots = Slots(replica / PAST)
        try:
            entries = list(total.counts.items())
            slots.write(
                msgspec.msgpack.encode(Past([*past.lives, life.name][-REMEMBERED:], entries))
            )
        finally:
            slots.close()
    shutil.rmtree(life.folder, ignore_errors=True)
