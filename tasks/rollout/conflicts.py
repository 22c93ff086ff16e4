"""What control store, registry and gateways say about who serves, and where they disagree."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from sluice.adapters.control.store import Control
from sluice.adapters.registry.aliases import CHAMPION
from sluice.adapters.registry.answers import find_version
from sluice.adapters.registry.client import ModelVersionRef, Registry
from sluice.adapters.service_versions import open_versions
from sluice.control.admission import say_missing
from sluice.control.route import Route
from sluice.control.timeline import ADOPT, CONFLICT, TimelineEntry
from sluice.control.watermark import CONFLICT_SUBJECT, NO_CONFLICT, follow_change
from sluice.rollout.collection import Reply, list_conflicting, list_epochs
from sluice.rollout.record import RolloutRecord
from tasks.run.events import publish_event


@dataclass
class ServiceComparison:
    """What was found for one service: conflicts, what was repaired, and a note for the page."""

    conflicts: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)
    note: str = ""
    is_behind: bool = False
    """Whether gateways know a later epoch of the route than the control store."""
    version: int = 0
    """The version that the first conflict is about; 0 where that is the champion."""

    @property
    def text(self) -> str:
        """The note and the conflicts, as a page shows them."""
        conflicts = [f"conflict: {one}" for one in self.conflicts]
        return "; ".join([*filter(None, [self.note]), *conflicts])


class Comparer:
    """Compares one service after the other; what only a person can settle is a conflict."""

    def __init__(self, control: Control, registry: Registry, replies: Mapping[str, Reply]) -> None:
        """Use the replies of the gateway's replicas, by address."""
        self._control, self._registry, self._replies = control, registry, replies

    def compare(self, service: str, rollout: RolloutRecord | None) -> ServiceComparison:
        """Repair what follows from the control store, and announce what is a conflict.

        Where the registry only shows who serves, its aliases are nobody's command.

        Raises:
            Fault: the control store or the registry cannot be reached.
        """
        found = ServiceComparison()
        versions = open_versions(self._control, self._registry, service)
        route = self._control.routes.find(service)
        if route is not None:
            self._judge_epochs(found, route)
        if not versions.adopts_aliases:
            self._announce(service, route, found)
            return found
        alias = self._registry.find_alias(service, CHAMPION)
        if alias is not None and (route is None or alias.version != route.champion):
            self._judge_alias(found, alias, route, rollout)
        if route is not None:
            self._judge_route(found, route, alias)
        self._announce(service, route, found)
        return found

    def _judge_alias(
        self,
        found: ServiceComparison,
        alias: ModelVersionRef,
        route: Route | None,
        rollout: RolloutRecord | None,
    ) -> None:
        """Adopt an alias that was moved by hand; it is a conflict if that version may not serve."""
        service, version = alias.service, alias.version
        serves = f"v{route.champion} goes on serving" if route else "nothing serves"
        if self._control.moves.find_unsettled(service):
            found.note = "the alias does not follow the route yet"
            return
        found.version = version
        if rollout is not None:
            if version in (rollout.champion, rollout.candidate):
                found.note = "the alias is about to move"
                return
            found.conflicts.append(
                f"the alias champion names v{version}, but a rollout is under way (number "
                f"{rollout.number}); {serves}; next: move the alias back, or control the rollout "
                "by `rollout-control`"
            )
            return
        if route is not None and route.experiment:
            found.conflicts.append(
                f"the alias champion names v{version}, but the experiment {route.experiment} runs; "
                f"{serves}; next: move the alias back, or decide the experiment"
            )
            return
        if found.is_behind:
            found.note = f"the alias champion names v{version}; it is not adopted in a conflict"
            return
        admission = self._control.admissions.judge(service, version, alias.tags)
        if admission.objection:
            fact, _, ways = admission.objection.partition("; next: ")
            found.conflicts.append(
                f"the alias champion names v{version}, which may not serve: {fact}; {serves}; "
                f"next: move the alias back; or {ways}"
            )
            return
        self._adopt(found, alias, route)

    def _adopt(self, found: ServiceComparison, alias: ModelVersionRef, route: Route | None) -> None:
        service, version = alias.service, alias.version
        latest = self._control.routes.find(service)
        if (latest and latest.epoch) != (route and route.epoch):
            found.note = "the route moved while it was compared"
            return
        message = f"v{version} is champion"
        before = f"v{route.champion}" if route else "no champion"
        reason = f"the alias was moved from {before} with no rollout under way"
        self._control.routes.follow_champion(service, version)
        now = datetime.now(UTC)
        record = partial(self._control.commands.record, origin="keeper")
        record(service, ADOPT, "the registry", reason, message, now)
        publish_event(service, "rollout.adopted", {"version": version, "reason": reason})
        found.repaired.append(f"{service}: {message}, {reason}")
        found.note = "adopted from the registry"

    def _judge_route(
        self, found: ServiceComparison, route: Route, alias: ModelVersionRef | None
    ) -> None:
        """Look for the versions that the route names; set the alias again where it is missing."""
        service = route.service
        for version in filter(None, (route.champion, route.candidate)):
            record = find_version(self._registry, service, version)
            if record is None:
                found.conflicts.append(say_missing(service, version))
                continue
            admission = self._control.admissions.judge(service, version, record.tags)
            if admission.objection:
                found.conflicts.append(
                    f"the route names v{version}, which may not serve: {admission.objection}"
                )
            elif alias is None and version == route.champion:
                self._registry.make_champion(service, version, version)
                message = f"the alias champion was missing, it names v{version} again"
                found.repaired.append(f"{service}: {message}")

    def _judge_epochs(self, found: ServiceComparison, route: Route) -> None:
        epochs = list_epochs(self._replies, route.service)
        conflicting = list_conflicting(self._replies, route.service)
        ahead = {
            name: epoch
            for name, epoch in epochs.items()
            if epoch > route.epoch or (epoch == route.epoch and name in conflicting)
        }
        if not ahead:
            return
        found.is_behind = True
        named = ", ".join(f"{name} epoch {epoch}" for name, epoch in sorted(ahead.items()))
        found.conflicts.append(
            f"the control store shows epoch {route.epoch} of the route, gateways know another one "
            f"({named}): an older store was restored, and what it decides does not count; next: "
            f"`sluice accept-store {route.service} --by NAME --reason WORDS` takes its word"
        )

    def _announce(self, service: str, route: Route | None, found: ServiceComparison) -> None:
        """Keep the conflicts in the store, and emit an event for new ones and each half hour."""
        marks, now = self._control.watermarks, datetime.now(UTC)
        seen = marks.find(service, CONFLICT_SUBJECT)
        mark = "; ".join(found.conflicts)
        if not mark:
            if seen.mark not in ("", NO_CONFLICT):
                marks.move(seen, seen.settle(NO_CONFLICT))
            return
        to = follow_change(seen, mark, handled=False, now=now)
        if to == seen or not marks.move(seen, to):
            return
        serves = route.champion if route else 0
        about = found.version or serves
        if seen.mark != mark:  # else it lasts, and only the event is repeated
            entry = TimelineEntry(service, now, CONFLICT, about, reason=mark, origin="keeper")
            self._control.timeline.append(entry)
        facts = {"version": about, "champion": serves, "reason": mark}
        publish_event(service, "rollout.conflict", facts)
