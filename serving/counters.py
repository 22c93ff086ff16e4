"""A worker's counters: one function adds a record, live or from the log, so that both agree."""

from typing import Any

import msgspec

from serving.counts import NO_STAGE, Counts, Key
from serving.record import Answer, AssignedArm, Record, Shadow

EPOCHS = 32
"""Epochs of a service that are kept apart; what is older is counted as epoch 0."""


class Counters:
    """Counts by service, version, assigned arm, epoch, and stage to come."""

    def __init__(self, counts: dict[Key, Counts] | None = None) -> None:
        self.counts = counts or {}

    def apply(self, record: Record) -> None:
        """Count one record of the log."""
        if isinstance(record, Answer):
            self._apply_answer(record)
        elif isinstance(record, Shadow):
            key = Key(record.service, record.version, AssignedArm.CANDIDATE, record.epoch)
            counts = self._find(key)
            counts.add_call(record)
            counts.add_comparison(record.differs)
        elif record.rates or record.values:
            key = Key(record.service, record.version, record.arm, record.epoch)
            self._find(key).add_feedback(record)

    def merge(self, other: "Counters") -> None:
        """Add all counts of another."""
        for key, counts in other.counts.items():
            self._find(key).add_counts(counts)

    def _apply_answer(self, answer: Answer) -> None:
        service, version, epoch = answer.service, answer.arm_version, answer.epoch
        counts = self._find(Key(service, version, answer.arm, epoch))
        counts.add_call(answer)
        if answer.fallback:
            counts.fallbacks += 1
        if answer.arm is AssignedArm.NONE:
            return
        for weight in answer.stages:
            inside = answer.place < weight
            to_be = AssignedArm.CANDIDATE if inside else AssignedArm.CHAMPION
            self._find(Key(service, version, to_be, epoch, weight)).add_call(answer)

    def _find(self, key: Key) -> Counts:
        found = self.counts.get(key)
        if found is None:
            found = self.counts[key] = Counts()
            self._fold_epochs(key.service)
            found = self.counts.get(key) or self.counts[key._replace(epoch=0)]
        return found

    def _fold_epochs(self, service: str) -> None:
        """Keep the number of keys within bounds, by a rule that a replay repeats."""
        epochs = {key.epoch for key in self.counts if key.service == service} - {0}
        while len(epochs) > EPOCHS:
            oldest = min(epochs)
            epochs.remove(oldest)
            old = [key for key in self.counts if key.service == service and key.epoch == oldest]
            for key in old:
                counts = self.counts.pop(key)
                self.counts.setdefault(key._replace(epoch=0), Counts()).add_counts(counts)

    def export(self) -> list[dict[str, Any]]:
        """Give the counts as plain values, an entry a key; sluice.rollout.scraping reads them."""
        entries = []
        for key, counts in sorted(self.counts.items()):
            entry = {**key._asdict(), "arm": str(key.arm), **msgspec.structs.asdict(counts)}
            entry["stage"] = None if key.stage == NO_STAGE else key.stage
            entry["latencies"] = {str(item): n for item, n in sorted(counts.latencies.items())}
            entries.append(entry)
        return entries
