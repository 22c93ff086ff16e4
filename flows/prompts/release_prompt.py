"""Release a prompt version: every gate between its file and the registry."""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.prompts.causes import handle_change
from tasks.prompts.publishing import PublishedVersion, activate_version, publish_version
from tasks.prompts.steps import (
    announce_estimate,
    audit_texts,
    check_version,
    evaluate_version,
    judge_version,
    report_version,
)
from tasks.run.forms import PromptName, PromptNumber
from tasks.run.gates import pass_gate
from tasks.run.leases import hold_release
from tasks.run.names import name_prompt_release
from tasks.run.state import end_skipped, state_failure
from tasks.security.gate import examine_prompt


@flow(
    name="release_prompt",
    flow_run_name=name_prompt_release,
    persist_result=False,
    result_serializer="json",
)
@state_failure
def release_prompt(
    prompt: PromptName, version: PromptNumber, publish: bool = True, cause: str = "by hand"
) -> PublishedVersion | Path | State[Any]:
    """Check, evaluate, judge, publish, activate; a gate that fails halts it.

    One release of a prompt runs at a time; another waits for it.

    Args:
        prompt: The prompt; each is one folder in prompts/.
        version: Number of the version; 2 is v2.yaml.
        publish: Whether a version that passes is published and becomes the active one; else the
            run ends with its report.
        cause: Why it runs; part of the run's name. `prompt.changed` starts one release for a
            version that is wished, with its cases and limits; a second one ends as Skipped, and so
            does one of a version that is not wished any more, or that was taken off. With any
            other cause the release runs.
    """
    with (
        hold_release(prompt) as lease,
        handle_change(prompt, version, cause, lease, publish) as reason,
    ):
        if reason:
            return end_skipped(reason)
        given = check_version(prompt, version)
        announce_estimate(given)
        security = pass_gate(examine_prompt(prompt), prompt, again=given.command)
        results = evaluate_version(given, version)
        active = evaluate_version(given, given.active) if given.active else None
        judged = judge_version(given, results, active)
        verdicts = (security, *judged, *audit_texts(given, judged))
        report = report_version(given, results, active, verdicts)
        for verdict in verdicts[1:]:
            pass_gate(verdict, prompt, again=given.command)
        return activate_version(publish_version(given, results), given) if publish else report
