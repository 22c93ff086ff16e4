"""The route that gateways obey, kept beside the alias `champion`."""

from sluice.adapters.registry.aliases import CHAMPION
from sluice.adapters.registry.versions import ModelVersionRef
from sluice.control.route import Route
from tasks.control import prepare_control


def follow_champion(version: ModelVersionRef | None) -> Route | None:
    """Let the route name a version that carries the alias `champion`; None where it does not.

    Called wherever that alias moved, and again by whatever comes next: a run that was killed
    between the two leaves a route that is late, not wrong. With a rollout under way the route
    stays as it is, and names another champion than the version.

    Raises:
        Fault: the control store cannot be reached.
    """
    if version is None or CHAMPION not in version.aliases:
        return None
    return prepare_control().routes.follow_champion(version.service, version.version)
