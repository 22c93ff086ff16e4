"""Limits of a prompt's checks by environment, each with its reason: its `limits.yaml`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from sluice.config.prompts.limits import PromptLimits, TextBiasConfig
from sluice.config.yaml_file import Section
from sluice.errors import PromptInvalid
from sluice.prompts.criterion import Criterion
from sluice.prompts.scorers.catalogue import CHECK_LIMITS
from sluice.prompts.yaml_section import read_section

LIMITS = "limits.yaml"
Environment = Literal["development", "production"]


class StatedLimit(Section):
    """A limit and why it is what it is."""

    limit: float = Field(gt=0.0, lt=1.0)
    """What the share of good answers, or the mean score, must be proved to exceed."""
    reason: str = Field(min_length=8)


class StatedGates(PromptLimits):
    """What a prompt's gates do otherwise than by default in one environment, and why."""

    reason: str = Field(min_length=8)


class GatesByEnvironment(Section):
    """The gates of each environment; without an entry they have the defaults."""

    development: StatedGates | None = None
    production: StatedGates | None = None


DEFAULT_GATES = {
    "development": PromptLimits(
        on_unproved_judge="notice", bias=TextBiasConfig(on_missing="notice")
    ),
    "production": PromptLimits(),
}


class LimitsFile(Section):
    """The limits of a prompt's criteria, checks and gates in each environment."""

    development: dict[str, StatedLimit] = Field(default_factory=dict)
    production: dict[str, StatedLimit] = Field(default_factory=dict)
    gates: GatesByEnvironment = GatesByEnvironment()

    def gates_of(self, environment: str) -> PromptLimits:
        """Return the limits of the gates in an environment; what is not stated has its default."""
        is_production = environment == "production"
        stated = self.gates.production if is_production else self.gates.development
        default = DEFAULT_GATES["production" if is_production else "development"]
        if stated is None:
            return default
        changed = stated.model_dump(exclude_unset=True, exclude={"reason"})
        bias = {**default.bias.model_dump(), **changed.get("bias", {})}
        return PromptLimits.model_validate({**default.model_dump(), **changed, "bias": bias})

    def of(self, environment: str) -> Mapping[str, StatedLimit]:
        """Return the limits of an environment by the name of a criterion or check."""
        return self.production if environment == "production" else self.development


@dataclass(frozen=True)
class LimitInForce:
    """The limit that a criterion or check has, and where it was stated."""

    limit: float
    reason: str


def read_limits(path: Path) -> LimitsFile:
    """Read a prompt's limits; without a file there are none beside the criteria's own.

    Raises:
        PromptInvalid: the file has an unknown key, or a limit that is not allowed.
    """
    return read_section(path, LimitsFile) if path.exists() else LimitsFile()


def find_limit(criterion: Criterion, stated: Mapping[str, StatedLimit]) -> LimitInForce | None:
    """Return a criterion's limit: stated under its name, its threshold, or its check's limit.

    None: it has no limit, and its type needs one.
    """
    if own := stated.get(criterion.name):
        return LimitInForce(own.limit, own.reason)
    if criterion.threshold is not None:
        return LimitInForce(criterion.threshold, "the criterion's threshold")
    if of_check := stated.get(criterion.check):
        return LimitInForce(of_check.limit, of_check.reason)
    if criterion.scorer.has_default:
        return LimitInForce(CHECK_LIMITS[criterion.check], f"the default of {criterion.check}")
    return None


def check_limits(
    criteria: Iterable[tuple[str, Criterion]], limits: LimitsFile, path: Path
) -> list[str]:
    """Return what is wrong with limits, one line each: a criterion without, a name unknown.

    `criteria` are all of a prompt's, each with the place where it stands: file, line and key.
    """
    known, problems = set(CHECK_LIMITS), list[str]()
    for place, criterion in criteria:
        known |= {criterion.name, criterion.check}
        for environment in ("development", "production"):
            if find_limit(criterion, limits.of(environment)) is None:
                problems.append(
                    f"{place}: found no threshold; a {criterion.type} needs one: write "
                    f"`threshold`, or `{environment}: {criterion.name}` in {path.name}"
                )
                break
    for environment in ("development", "production"):
        problems += [
            f"{path}: {environment}.{name}: no criterion or check has this name; "
            f"allowed: {', '.join(sorted(known))}"
            for name in limits.of(environment)
            if name not in known
        ]
    return problems


def refuse_problems(problems: list[str]) -> None:
    """Raise what was found wrong, if anything.

    Raises:
        PromptInvalid: there are problems.
    """
    if problems:
        raise PromptInvalid("\n".join(problems))
