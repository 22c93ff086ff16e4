"""The gates of an environment: what a file does not state keeps its default."""

import pytest

from sluice.prompts.limits import LimitsFile


@pytest.mark.parametrize("key", [{"spend": 0.5}, {"bias": {"tone": 0.2}}])
def test_stating_one_key_changes_no_other(key: dict[str, object]) -> None:
    for environment, policy in (("development", "notice"), ("production", "halt")):
        file = {"gates": {environment: {**key, "reason": "a test of one key"}}}
        gates = LimitsFile.model_validate(file).gates_of(environment)
        assert (gates.on_unproved_judge, gates.bias.on_missing) == (policy, policy)
        assert (gates.spend, gates.bias.tone) in ((0.5, 0.05), (5.0, 0.2))
