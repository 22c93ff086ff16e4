"""Commands of releases: prompt evaluate, publish, prove-judge, adopt-detector."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.output import say
from cli.prompts.prompt import Name, prompt
from cli.prompts.results import run_prompt_release, show_estimate
from cli.prompts.summary import check_summary, check_without_key, write_summary
from cli.runs import open_terminal

WISHED = 0
Number = Annotated[
    int, typer.Argument(min=0, help="Number of the version; 2 is v2.yaml. 0: the wished one.")
]
Cause = Annotated[str, typer.Option(help="Reason for it; part of the run's name.")]
SummaryFile = Annotated[
    str, typer.Option("--summary", help="File for the verdicts as Markdown, as of a CI job.")
]
KeyOptional = Annotated[
    bool,
    typer.Option(
        "--key-optional", help="Without the provider's key check only what needs none, and say so."
    ),
]


@prompt.command()
def evaluate(
    name: Name,
    version: Number = WISHED,
    summary: SummaryFile = "",
    key_optional: KeyOptional = False,
    is_estimated: Annotated[
        bool,
        typer.Option(
            "--estimate",
            "--dry-run",
            help="Only say what it would take: calls, tokens, cost.",
        ),
    ] = False,
) -> None:
    """Take a version through its gates at once, without Prefect, and without publishing it."""
    number = version or _find_wished(name)
    if is_estimated:
        from sluice.prompts.folder import load_version
        from tasks.prompts.estimating import estimate_now

        load_version(name, number)
        show_estimate(estimate_now(name, number))
        return
    from cli.prompts.trial import run_trial

    file = check_summary(summary)
    if not (key_optional and _describe_keyless(name, number, file)):
        sys.exit(run_trial(name, number, file).code)


@prompt.command()
def publish(
    name: Name,
    version: Number = WISHED,
    cause: Cause = "by hand",
    summary: SummaryFile = "",
    key_optional: KeyOptional = False,
) -> None:
    """Take a version through its gates, publish it, and make it the active one."""
    from sluice.prompts.folder import load_version

    number = version or _find_wished(name)
    load_version(name, number)
    file = check_summary(summary)
    if key_optional and _describe_keyless(name, number, file):
        return
    with open_terminal(is_for_prompts=True):
        sys.exit(run_prompt_release(name, number, cause, file).code)


@prompt.command("prove-judge")
def prove(
    name: Annotated[str, typer.Argument(help="Name of a judge: a folder in prompts/judges/.")],
    spend: Annotated[float, typer.Option(help="Most that it may cost, in US dollars.", min=0)] = 5,
) -> None:
    """Measure a judge's agreement with people on its labels; only a proved judge decides."""
    from sluice.home import environment_name, find_home
    from tasks.prompts.judging import prove_judge

    proved = prove_judge(name, find_home(), environment_name(), spend)
    word = "decides" if proved.standing.gates else "is shown only"
    say(f"{name} {word}: {proved.standing.reason}")
    say(f"graded by {proved.proof.model}; written: {proved.path}")
    if not proved.standing.gates:
        sys.exit(1)


@prompt.command("adopt-detector")
def adopt() -> None:
    """Take the released version of the service `injection` as the guardrails' detector."""
    from sluice.home import DETECTOR
    from tasks.prompts.detector import adopt_detector

    version = adopt_detector()
    say(f"{version.service} v{version.version} is the detector of `injection`: {DETECTOR}")


def _describe_keyless(name: str, version: int, file: Path | None) -> bool:
    """Print what can be said of a version without its provider's key; False where the key is there.

    Raises:
        PromptInvalid: a file is not valid.
        ConfigInvalid: the model is unknown, or the environment refuses it.
        ModelRetired: the provider has retired it.
    """
    page = check_without_key(name, version)
    if page:
        write_summary(file, page)
        say(page.rstrip())
    return bool(page)


def _find_wished(name: str) -> int:
    """Return the version that is wished in this environment.

    Raises:
        PromptInvalid: there is no such prompt, or no version of it is wished.
    """
    from sluice.errors import PromptInvalid
    from sluice.home import PROMPTS, environment_name
    from sluice.prompts.active import ACTIVE
    from sluice.prompts.folder import find_folder, load_active
    from sluice.prompts.listing import list_versions

    known, environment = list_versions(find_folder(name)), environment_name()
    wished = load_active().of(environment).get(name)
    if wished is None:
        raise PromptInvalid(
            f"{PROMPTS / ACTIVE}: {environment}: found no version of '{name}'; next: name one here "
            f"({', '.join(map(str, known))}), or in the command"
        )
    return wished
