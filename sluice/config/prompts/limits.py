"""The limits of a prompt's gates in one environment."""

from typing import Literal

from pydantic import Field

from sluice.config.yaml_file import Section


class TextBiasConfig(Section):
    """How much answers may differ between groups of people, in either direction."""

    difference: float = Field(0.05, gt=0.0, lt=1.0)
    """Largest difference of a label's share, or of a mean score between 0 and 1."""
    length_ratio: float = Field(1.1, gt=1.0)
    """Largest ratio of lengths, as the mean of its logarithm."""
    refusal: float = Field(0.05, gt=0.0, lt=1.0)
    """Largest difference of refusal rates."""
    tone: float = Field(0.05, gt=0.0, lt=1.0)
    """Largest difference of tone, -1 to 1."""
    on_missing: Literal["notice", "halt"] = "halt"
    """What it means that a prompt has no bias set, or one of too few cases."""
    on_unproved: Literal["list", "halt"] = "list"
    """Whether a difference that the cases cannot decide is listed, or halts the release."""


class PromptLimits(Section):
    """The limits of a prompt's gates."""

    margin: float = Field(0.05, gt=0.0, lt=1.0)
    """How much lower than the active version's a criterion's mean counts as no worse, 0 to 1."""
    max_not_run: int = Field(0, ge=0)
    """Cases that may lack a result, because a provider or judge failed; more halt."""
    cost_ratio: float = Field(1.5, ge=1.0)
    """Largest mean cost of a case, as a multiple of the active version's."""
    case_cost: float | None = Field(None, gt=0.0)
    """Most US dollars that an answer to a case may cost on average; it holds without an active
    version too. None: no such limit."""
    on_unproved_judge: Literal["halt", "notice"] = "halt"
    """What a criterion means whose judge has no proved agreement with people."""
    spend: float = Field(5.0, ge=0.0)
    """US dollars that one evaluation may cost, judges included."""
    bias: TextBiasConfig = TextBiasConfig()
    draws: int = Field(2000, ge=200, le=100_000)
    """Bootstrap draws behind each interval."""
    seed: int = Field(0, ge=0)
