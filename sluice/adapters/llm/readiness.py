"""Whether a model can be asked at all: it is known, allowed, not retired, and its key is there."""

from datetime import UTC, datetime

from sluice.adapters.llm.keys import read_key
from sluice.adapters.llm.local import find_local_weights
from sluice.config.llm.loading import load_providers
from sluice.config.llm.providers import LocalProvider
from sluice.errors import SluiceError
from sluice.prompts.calls.choice import choose_model


def find_obstacle(model: str, environment: str) -> SluiceError | None:
    """Return why a model cannot be asked in an environment, None where it can; nothing is sent."""
    try:
        found = choose_model(load_providers(), model, environment, datetime.now(UTC).date())
        if isinstance(found.provider, LocalProvider):
            find_local_weights()
        elif found.provider.key:
            read_key(found.model.provider, found.provider.key)
    except SluiceError as error:
        return error
    return None
