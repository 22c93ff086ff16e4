"""Commands on the files of prompts: prompt list, show, diff, new, import."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import say, show_rows
from cli.prompts.writing import write_prompt, write_version
from sluice.home import PROMPTS, environment_name, find_home

if TYPE_CHECKING:
    from sluice.prompts.active import ActiveVersions
    from sluice.prompts.folder import Prompt

PANEL = "Prompts"
Name = Annotated[str, typer.Argument(help="Name of a prompt: a folder in prompts/.")]
commands = typer.Typer()
prompt = typer.Typer(help="Work on prompts: their versions, cases and limits.")
commands.add_typer(prompt, name="prompt", rich_help_panel=PANEL)


@prompt.command("list")
def list_all() -> None:
    """List the prompts: versions, cases, which version is wished, and which one serves."""
    from sluice.errors import PromptInvalid
    from sluice.prompts.folder import load_active, load_prompt
    from sluice.prompts.limits import refuse_problems
    from sluice.prompts.listing import list_prompts

    active = load_active()
    rows, notes, problems = list[dict[str, str]](), list[str](), list[str]()
    for name in list_prompts():
        try:
            found = load_prompt(name)
        except PromptInvalid as error:  # the others are shown all the same
            problems.append(str(error))
            continue
        serves, differs = describe_standing(found, active)
        notes += [f"{name}: {note}" for note in differs]
        rows.append(
            {
                "prompt": name,
                "versions": ", ".join(map(str, found.versions)),
                "development": str(active.development.get(name, "-")),
                "production": str(active.production.get(name, "-")),
                "serves": serves,
                "cases": f"{len(found.eval_set.cases):,}",
                "bias cases": f"{len(found.bias_set.cases):,}" if found.bias_set else "-",
            }
        )
    if rows:
        show_rows(f"prompts in {PROMPTS}", rows)
    elif not problems:
        say(f"no prompt in {PROMPTS}; next: sluice prompt new NAME")
    for note in dict.fromkeys(notes):
        say(note)
    refuse_problems(problems)


def describe_standing(found: "Prompt", active: "ActiveVersions") -> tuple[str, list[str]]:
    """Return which version serves, and what differs from what is wished, with what to do."""
    from sluice.adapters.control.store import prepare_control
    from sluice.adapters.prompt_wishes import find_edited, find_serving, read_wish
    from sluice.errors import Fault, Refused
    from sluice.prompts.evaluation.record import read_evaluations

    name, environment = found.name, environment_name()
    wished = active.of(environment).get(name)
    edited = find_edited(found, read_evaluations(find_home().evaluations(name)))
    try:
        control = prepare_control()
        serves = find_serving(control, name)
        differs = read_wish(control, found, wished, environment).explain() if wished else ""
    except (Fault, Refused) as error:
        return "?", [f"what serves is not known: {error}", *edited.values()]
    return str(serves or "-"), [*filter(None, [differs]), *edited.values()]


@prompt.command()
def show(
    name: Name,
    version: Annotated[int, typer.Option(help="Version; 0: the active one, else the last.")] = 0,
) -> None:
    """Show a version: its texts, its criteria with their limits, its cases."""
    from sluice.prompts.folder import load_active, load_prompt

    found, active = load_prompt(name), load_active()
    environment = environment_name()
    wished = active.of(environment).get(name)
    chosen = version or wished or max(found.versions)
    shown = found.find_version(chosen)
    say(f"{name} v{chosen}  {shown.identity[:12]}  {found.version_file(chosen)}")
    temperature = "the model's own" if shown.temperature is None else f"{shown.temperature:g}"
    serves, differs = describe_standing(found, active)
    say(f"serves: {serves}, wished in {environment}: {wished or '-'}")
    for note in differs:
        say(note)
    say(f"model {shown.model}, temperature {temperature}, at most {shown.max_tokens:,} tokens")
    for title, text in (("system", shown.system), ("template", shown.template)):
        if text:
            say(f"\n{title}:")
            for line in text.rstrip().splitlines():
                say(f"  {line}")
    counts = {"examples": shown.examples, "messages": shown.messages, "context": shown.context}
    counted = [f"{len(items)} {title}" for title, items in counts.items() if items]
    counted += [f"tools {', '.join(tool.name for tool in shown.tools)}"] if shown.tools else []
    if counted:
        say(f"\nand {', '.join(counted)}")
    show_rows(f"criteria in {environment}", _describe_criteria(found, chosen, environment))
    _describe_cases(found, shown.repeated)


def _describe_criteria(found: "Prompt", version: int, environment: str) -> list[dict[str, str]]:
    from sluice.prompts.cases import list_criteria
    from sluice.prompts.limits import find_limit

    stated = found.limits.of(environment)
    criteria = {item.name: item for item in found.versions[version].eval_criteria}
    counts = dict.fromkeys(criteria, 0)
    for case in found.eval_set.cases:
        for item in list_criteria(found.versions[version], case):
            criteria.setdefault(item.name, item)
            counts[item.name] = counts.get(item.name, 0) + 1
    rows = []
    for name, criterion in criteria.items():
        limit = find_limit(criterion, stated)
        rows.append(
            {
                "criterion": name,
                "type": criterion.type,
                "check": criterion.check,
                "above": f"{limit.limit:g}" if limit else "-",
                "cases": f"{counts[name]:,}",
                "why": limit.reason if limit else "",
            }
        )
    return rows


def _describe_cases(found: "Prompt", repeats: int) -> None:
    cases = len(found.eval_set.cases)
    tags = ", ".join(f"{tag} {n:,}" for tag, n in list(found.eval_set.count_tags().items())[:20])
    answers = f"{cases * repeats:,} answers a version at {repeats} a case"
    say(f"{cases:,} cases ({answers}), {found.eval_set.identity[:12]}")
    if tags:
        say(f"tags: {tags}")
    if found.bias_set:
        say(f"{len(found.bias_set.cases):,} bias cases, {found.bias_set.identity[:12]}")


@prompt.command()
def diff(
    name: Name,
    old: Annotated[int, typer.Argument(help="Version to compare with.")],
    new: Annotated[int, typer.Argument(help="Version that is compared.")],
) -> None:
    """Say how two versions differ: in words, and in scores where both were evaluated."""
    from sluice.prompts.differences.versions import compare_scores, describe_difference
    from sluice.prompts.evaluation.record import find_latest, read_evaluations
    from sluice.prompts.folder import load_prompt

    found = load_prompt(name)
    before, after = found.find_version(old), found.find_version(new)
    lines = describe_difference(before, after)
    say(f"{name} v{old} {before.identity[:12]} -> v{new} {after.identity[:12]}")
    for line in lines or ["they say the same"]:
        say(f"  {line}")
    records = read_evaluations(find_home().evaluations(name))
    results = [
        find_latest(records, number, version.identity)
        for number, version in ((old, before), (new, after))
    ]
    if results[0] is None or results[1] is None:
        missing = [f"v{n}" for n, item in zip((old, new), results, strict=True) if item is None]
        say(f"no scores to compare: no evaluation of {' and '.join(missing)} as it is now")
        return
    rows, notes = compare_scores(results[0], results[1])
    show_rows("scores", rows)
    for note in notes:
        say(note)


@prompt.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the prompt, new or known.")],
    base: Annotated[
        int, typer.Option("--from", help="Version to copy; 0: the last one, or an example.")
    ] = 0,
) -> None:
    """Write the next version of a prompt, or a new prompt with files to fill in."""
    from sluice.prompts.listing import list_prompts

    written = write_version(name, base) if name in list_prompts() else write_prompt(name)
    for path in written:
        say(f"written: {path}")
    say(f"next: edit it, then: sluice prompt show {name}")


@prompt.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="A configuration of promptfoo, YAML or JSON.")],
    name: Annotated[str, typer.Option(help="Name of the prompt; else the folder's.")] = "",
    model: Annotated[str, typer.Option(help="Model, instead of the first provider's.")] = "",
    threshold: Annotated[
        float, typer.Option(help="Limit of criteria that need one.", min=0.01, max=0.99)
    ] = 0.8,
) -> None:
    """Import a promptfoo configuration, and name everything that has no counterpart."""
    from cli.prompts.writing import choose_name, write_files
    from sluice.prompts.importing.promptfoo import import_promptfoo

    chosen = choose_name(name or file.resolve().parent.name)
    found = import_promptfoo(file, chosen, model, threshold)
    folder = write_files(chosen, found.files)
    for note in found.notes:
        say(f"not as it was: {note}")
    counts = f"{found.versions} version(s), {found.cases:,} case(s), {len(found.notes)} note(s)"
    say(f"{folder}: {counts}")
    say(f"next: read the notes above, then: sluice prompt show {chosen}")
