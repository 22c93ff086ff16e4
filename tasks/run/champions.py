"""Who serves: the control store's route says so, and the registry's aliases follow it."""

from dataclasses import dataclass

from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.registry.aliases import CHAMPION
from sluice.adapters.registry.answers import find_version
from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.versions import ModelVersionRef
from sluice.control.admission import say_missing
from sluice.control.route import Route
from sluice.errors import RolloutRefused
from sluice.home import find_home


@dataclass(frozen=True)
class Champion:
    """The version that serves by the control store's route, and the registry's record of it.

    `version` is None where nothing serves yet; `record` is None there, and where the registry lacks
    the version.
    """

    service: str
    version: int | None = None
    record: ModelVersionRef | None = None

    @property
    def is_missing(self) -> bool:
        """Whether a version serves that the registry does not have (any more)."""
        return self.version is not None and self.record is None


def find_champion(service: str) -> Champion:
    """Return the version that serves; the alias `champion` counts only where there is no route.

    That is so after a first release that was killed before it wrote the route: it is written now.

    Raises:
        Fault: the control store or the registry cannot be reached.
    """
    registry = open_registry(find_home())
    route = find_route(service) or route_to_champion(registry.find_alias(service, CHAMPION))
    if route is None:
        return Champion(service)
    return Champion(service, route.champion, find_version(registry, service, route.champion))


def find_serving(service: str) -> int | None:
    """Return the number of the version that serves; None where nothing serves yet.

    Raises:
        Fault: the control store cannot be reached.
    """
    route = find_route(service)
    return route.champion if route else None


def find_route(service: str) -> Route | None:
    """Return a service's route; None where there is none yet.

    Raises:
        Fault: the control store cannot be reached.
    """
    return prepare_control().routes.find(service)


def require_record(champion: Champion) -> ModelVersionRef | None:
    """Return the registry's record of the champion; None where nothing serves yet.

    Raises:
        RolloutRefused: a version serves that the registry does not have.
    """
    if champion.is_missing:
        raise RolloutRefused(say_missing(champion.service, champion.version))
    return champion.record


def route_to_champion(version: ModelVersionRef | None) -> Route | None:
    """Route traffic to a version that has the alias `champion`, if it may serve.

    Called after Sluice moved that alias, and again by the next run: a run that was killed between
    the two leaves a route that is late, not wrong. Return the route as it is then, which has
    another champion while a rollout is under way, or where the version did not pass its gates.
    None: the version has not the alias, or nothing serves.

    Raises:
        Fault: the control store cannot be reached.
    """
    if version is None or CHAMPION not in version.aliases:
        return None
    return follow_admitted(prepare_control(), version)


def follow_admitted(control: Control, version: ModelVersionRef) -> Route | None:
    """Make the route name a version as champion if it may serve; return the route after that.

    Raises:
        Fault: the control store cannot be reached.
    """
    service, number = version.service, version.version
    if control.admissions.judge(service, number, version.tags).objection:
        return control.routes.find(service)
    return control.routes.follow_champion(service, number)
