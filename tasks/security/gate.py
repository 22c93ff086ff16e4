"""The evidence of the security gate, and its verdict."""

from datetime import UTC, datetime
from pathlib import Path

from sluice.adapters.machine import read_code_version
from sluice.adapters.registry.model_files import TRUSTED_TYPES
from sluice.adapters.security.audits import audit_lock
from sluice.adapters.security.tree import search_trees
from sluice.config.security.exceptions import load_exceptions
from sluice.config.security.gate import SecurityConfig, load_security
from sluice.gates.security import SecurityGate
from sluice.home import CONFIGS, LOCK, PROJECT, PROMPTS, SUITES, environment_name, find_home
from sluice.identity import CodeVersion
from sluice.security.evidence import ModelScan, SecurityEvidence
from sluice.security.model_files import scan_model
from sluice.verdict import Verdict
from tasks.run.decorators import effect


@effect
def examine_prompt(prompt: str) -> Verdict:
    """Return the security gate's verdict on a prompt's release: dependencies, secrets, tree.

    Raises:
        ConfigInvalid: the gate's configuration, or an exception, is wrong.
    """
    return judge_security(read_code_version(PROJECT), None)[1]


def judge_security(code: CodeVersion, model: ModelScan | None) -> tuple[SecurityEvidence, Verdict]:
    """Collect the evidence of this project, and judge it; `model` is None for a prompt.

    Raises:
        ConfigInvalid: the gate's configuration, or an exception, is wrong.
    """
    home, config, now = find_home(), load_security(environment_name()), datetime.now(UTC)
    evidence = SecurityEvidence(
        audit_lock(home, config.advisories, LOCK, now),
        search_trees(home, config.secrets, (PROJECT, CONFIGS, SUITES, PROMPTS)),
        model,
        code.commit,
        code.dirty,
        now,
    )
    gate = SecurityGate(config, load_exceptions().exceptions)
    return evidence, gate.judge(evidence)


def scan_files(folder: Path, names: list[str], config: SecurityConfig | None = None) -> ModelScan:
    """Examine a model's files, by their paths within a folder, as the configuration says.

    Raises:
        ConfigInvalid: the gate's configuration is wrong.
    """
    limits = (config or load_security(environment_name())).model
    return scan_model(folder, names, TRUSTED_TYPES, limits.operator_domains, limits.largest_bytes)
