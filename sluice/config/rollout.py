"""How a service's candidates take over: when, by which policy, and on what terms of the route."""

from typing import Literal

from pydantic import Field

from sluice.config.yaml_file import Section


class RouteConfig(Section):
    """What a gateway is told about a candidate on trial, whatever the policy."""

    assign_by: Literal["unit", "request"] = "unit"
    """`unit`: a user or session stays with one arm; `request`: each request is drawn anew."""
    shadow_share: float = Field(1.0, gt=0, le=1)
    """Share of requests that are copied to the candidate in shadow."""
    arm_timeout_ms: float = Field(2000.0, gt=0, le=600_000)
    """After so many milliseconds the champion answers in the candidate's place."""
    candidate_concurrency: int = Field(8, ge=1, le=10_000)
    """Requests that the candidate may have at a time, in each worker."""
    lease_ttl: float = Field(15.0, ge=1, le=600)
    """Seconds without a sign of the controller after which the champion serves alone."""


class RolloutConfig(Section):
    """How traffic moves to a candidate of this service."""

    policy: str = Field("standard", min_length=1)
    """Name of a file in `configs/policies`, or the path of a YAML file."""
    start: Literal["manual", "auto"] = "manual"
    """`auto`: a release that registered a candidate starts its rollout, and does not wait."""
    second: Literal["wait", "replace"] = "wait"
    """What a rollout does while another of the service is under way: wait, or abort that one."""
    route: RouteConfig = RouteConfig()
