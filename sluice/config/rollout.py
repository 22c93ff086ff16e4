"""A service's rollouts: when one starts, by which policy, and the settings of its route."""

from typing import Literal, Protocol

from pydantic import Field

from sluice.config.yaml_file import Section


class RouteConfig(Section):
    """Settings of a candidate's route for the gateway, independent of the policy."""

    assign_by: Literal["unit", "request"] = "unit"
    """`unit`: a user or session stays with one arm; `request`: each request is drawn by itself."""
    shadow_share: float = Field(1.0, gt=0, le=1)
    """Share of requests that are copied to the candidate in shadow."""
    arm_timeout_ms: float = Field(2000.0, gt=0, le=600_000)
    """Milliseconds after which the champion answers in the candidate's place."""
    candidate_concurrency: int = Field(8, ge=1, le=10_000)
    """Most concurrent requests of the candidate, in each worker."""
    lease_ttl: float = Field(15.0, ge=1, le=600)
    """Seconds without a renewal by the controller after which the champion serves alone."""


class RolloutConfig(Section):
    """The rollouts of this service's candidates."""

    policy: str = Field("standard", min_length=1)
    """Name of a file in `configs/policies`, or the path of a YAML file."""
    start: Literal["manual", "auto"] = "manual"
    """`auto`: a release that registered a candidate starts its rollout, and does not wait."""
    second: Literal["wait", "replace"] = "wait"
    """What a new rollout does while another of the service is under way: wait, or abort that."""
    route: RouteConfig = RouteConfig()


class PromptRouteConfig(RouteConfig):
    """Settings of a prompt's route: a language model takes seconds, where a model takes none."""

    arm_timeout_ms: float = Field(30_000.0, gt=0, le=600_000)
    """Milliseconds to the first piece of an answer that may leave; then the champion answers."""


class PromptRolloutConfig(RolloutConfig):
    """The rollouts of a prompt's published versions."""

    policy: str = Field("prompts", min_length=1)
    """Name of a file in `configs/policies`, or the path of a YAML file."""
    route: PromptRouteConfig = PromptRouteConfig()


class RolloutSettings(Protocol):
    """A service with the settings of its rollouts."""

    @property
    def service(self) -> str:
        """Its name."""

    @property
    def rollout(self) -> RolloutConfig:
        """Policy, start and route of its rollouts."""
