"""The settings of a service's rollouts: of a model in its file, of a prompt in `serving.yaml`."""

from dataclasses import dataclass

from sluice.adapters.control.store import prepare_control
from sluice.config.llm.loading import load_language_serving
from sluice.config.loading import list_policies, list_services, load_service
from sluice.config.rollout import PromptRolloutConfig, RolloutSettings
from sluice.errors import ConfigInvalid, ServiceUnknown
from sluice.home import environment_name
from sluice.prompts.listing import list_prompts
from tasks.run.forms import ALL

KEY = "configs/llm/serving.yaml: services.{}.rollout.policy"


@dataclass(frozen=True)
class PromptRollout:
    """A prompt with the settings of its rollouts."""

    service: str
    rollout: PromptRolloutConfig


def load_rollout(service: str) -> RolloutSettings:
    """Read the settings of a service's rollouts.

    Raises:
        ServiceUnknown: there is no model and no prompt of this name.
        ConfigInvalid: a file is not valid, or a prompt names an unknown policy.
    """
    if service in list_services():
        return load_service(service, environment_name())
    if service in list_prompts():
        return load_prompt_rollout(service)
    raise ServiceUnknown(say_unknown(service))


def load_prompt_rollout(prompt: str) -> PromptRollout:
    """Read the settings of a prompt's rollouts; a prompt without any has the defaults.

    Raises:
        ConfigInvalid: the file is not valid, or it names an unknown policy.
    """
    found = load_language_serving().of(prompt).rollout or PromptRolloutConfig()
    known = list_policies()
    if not found.policy.endswith(".yaml") and found.policy not in known:
        raise ConfigInvalid(
            f"{KEY.format(prompt)}: found '{found.policy}'; allowed: {', '.join(known)}, or the "
            "path of a .yaml file"
        )
    return PromptRollout(prompt, found)


def say_unknown(service: str) -> str:
    """Say that no model and no prompt has a name, and which there are."""
    known = ", ".join((*list_services(), *list_prompts()))
    return f"no service '{service}'; known: {known}"


def choose_routed_prompts(service: str) -> list[str]:
    """Return the prompts of which a version serves, where all services are meant.

    Raises:
        Fault: the control store cannot be reached.
    """
    if service not in ("", ALL):
        return []
    return [route.service for route in prepare_control().routes.list_routes("prompt")]
