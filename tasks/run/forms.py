"""Types of flow parameters, which Prefect's UI shows as form fields."""

from typing import Annotated, Any, get_args

from pydantic import Field

from sluice.config.experiments.loading import list_experiments
from sluice.config.loading import list_policies, list_services
from sluice.config.monitoring.drift import ReferenceName
from sluice.config.overrides import LARGEST_SEED
from sluice.control.retraining import EVENTS
from sluice.prompts.listing import list_prompts
from sluice.rollout.state import Action


def offer(choices: list[str]) -> dict[str, Any]:
    """Return the schema of a dropdown; of a text field if there is nothing to choose."""
    return {"enum": choices} if choices else {}


ServiceName = Annotated[str, Field(json_schema_extra=offer(list_services()))]
"""A service: one of those that are configured when the form is deployed."""

RolledName = Annotated[str, Field(json_schema_extra=offer([*list_services(), *list_prompts()]))]
"""A service whose versions are rolled out: of a model, or a prompt."""

PromptName = Annotated[str, Field(json_schema_extra=offer(list_prompts()))]
"""A prompt: one of the folders in prompts/ when the form is deployed."""
PromptOrAll = Annotated[str, Field(json_schema_extra={"enum": ["all", *list_prompts()]})]
"""A prompt, or all that serve."""
PromptNumber = Annotated[int, Field(ge=1)]
"""A version of a prompt; 2 is v2.yaml."""

LATEST = -1
DataVersion = Annotated[int, Field(ge=-1)]
"""A version of a service's data; `LATEST` is the newest."""
ALL = "all"
ServiceOrAll = Annotated[str, Field(json_schema_extra={"enum": [ALL, *list_services()]})]
"""A service, or all of them."""
Words = Annotated[str, Field(min_length=1, pattern=r"\S")]
"""Text that may not be blank."""

CandidateVersion = Annotated[int, Field(ge=-1)]
"""A version of a service's model; -1 is the one that carries the alias `candidate`."""
PolicyName = Annotated[str, Field(json_schema_extra=offer(["as-configured", *list_policies()]))]
"""A rollout policy; `as-configured` is the service's own."""
ActionName = Annotated[str, Field(json_schema_extra=offer([item.value for item in Action]))]
"""A command to a rollout."""
ReferenceChoice = Annotated[
    str, Field(json_schema_extra={"enum": ["as-configured", *get_args(ReferenceName)]})
]
"""What traffic is compared with; `as-configured` is the service's own choice."""
ModelVersion = Annotated[int, Field(ge=1)]
"""A version of a service's model."""
ServiceOrPrompt = Annotated[
    str, Field(json_schema_extra=offer([*list_services(), *list_prompts()]))
]
"""A service with a model, or a prompt."""
AS_RECORDED = -1
RecordedSeed = Annotated[int, Field(ge=AS_RECORDED, le=LARGEST_SEED)]
"""A seed of a training; `AS_RECORDED` is the one that the version has on record."""
CauseEvent = Annotated[str, Field(json_schema_extra=offer(list(EVENTS)))]
"""What can start a retraining, and what ends such a cause."""

ExperimentName = Annotated[str, Field(json_schema_extra=offer(list_experiments()))]
"""An experiment: one of the files in configs/experiments/ when the form is deployed."""
ExperimentStep = Annotated[
    str, Field(json_schema_extra=offer(["plan", "start", "analyse", "decide", "resume"]))
]
"""What is to be done of an experiment."""
ExperimentChoice = Annotated[str, Field(json_schema_extra=offer(["promote", "iterate", "discard"]))]
"""What a person decides on an experiment."""
TreatmentVersion = Annotated[int, Field(ge=-1)]
"""The version of an experiment's treatment; -1 is the one that carries the alias `candidate`."""
