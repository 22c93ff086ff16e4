"""What a release of a prompt depends on: its version, its cases, and the limits that hold."""

import hashlib
import json

from sluice.prompts.folder import Prompt


def identify_change(prompt: Prompt, version: int, environment: str) -> str:
    """Return the hexadecimal sha256 of all that a release of a version is decided by.

    These are the version, the evaluation set, the bias set, and the limits of the environment.
    Reasons, comments, order and other versions change nothing.

    Raises:
        PromptInvalid: there is no such version.
    """
    facts = {
        "environment": environment,
        "version": prompt.find_version(version).identity,
        "eval_set": prompt.eval_set.identity,
        "bias_set": prompt.bias_set.identity if prompt.bias_set else "",
        "limits": {name: item.limit for name, item in prompt.limits.of(environment).items()},
        "gates": prompt.limits.gates_of(environment).model_dump(mode="json", exclude={"reason"}),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
