"""What a person said before about a model as good as this one."""

from prefect import get_run_logger

from sluice.adapters.control.store import prepare_control
from sluice.adapters.registry.answers import find_version
from sluice.adapters.registry.client import Registry, open_registry
from sluice.adapters.registry.history import read_config, read_verdicts
from sluice.config.service import ServiceConfig
from sluice.control.approval import MAY_BE_OPEN, ApprovalAnswer, ApprovalDecision
from sluice.errors import DataInvalid
from sluice.home import find_home
from sluice.stats.comparison import Acceptance
from sluice.verdict import PLAUSIBILITY, Check, Outcome

_SAME = ("target", "positive")
"""Keys of `data` that must be as they were, beside the features."""


def find_acceptance(config: ServiceConfig) -> Acceptance | None:
    """Return the newest approval of an implausibly good model of the same features and target.

    The control store's log of decisions says who approved; the version's own verdict and
    configuration say what. None where nobody did; a version whose record is damaged counts for
    nothing, so that a person is asked again.

    Raises:
        Fault: the control store or the registry cannot be reached.
    """
    registry = open_registry(find_home())
    for decision in reversed(prepare_control().approvals.list_decisions(config.service)):
        if decision.answer is ApprovalAnswer.APPROVED:
            found = _read_acceptance(registry, config, decision)
            if found is not None:
                return found
    return None


def _read_acceptance(
    registry: Registry, config: ServiceConfig, decision: ApprovalDecision
) -> Acceptance | None:
    version = find_version(registry, decision.service, decision.version)
    if version is None or not _is_same(config, read_config(registry, version.run_id)):
        return None
    try:
        verdicts = read_verdicts(registry, version.run_id)
    except DataInvalid as error:
        get_run_logger().warning("the approval of v%d is not counted: %s", version.version, error)
        return None
    checks = [
        check for verdict in verdicts if verdict.gate == MAY_BE_OPEN for check in verdict.checks
    ]
    asked = next(filter(_is_question, checks), None)
    if asked is None or asked.measured is None:
        return None
    high = asked.interval[1] if asked.interval else asked.measured
    return Acceptance(decision.version, decision.by, decision.reason, asked.measured, high)


def _is_question(check: Check) -> bool:
    return check.name.startswith(PLAUSIBILITY) and check.outcome is Outcome.INSUFFICIENT


def _is_same(config: ServiceConfig, before: dict[str, object]) -> bool:
    """Whether a release's configuration has the same problem, target and features, in any order."""
    data = before.get("data")
    if not isinstance(data, dict) or before.get("problem") != config.problem:
        return False
    now = config.data.model_dump(mode="json")
    same = all(data.get(key) == now[key] for key in _SAME)
    features = data.get("features")
    return same and isinstance(features, list) and set(features) == set(now["features"])
