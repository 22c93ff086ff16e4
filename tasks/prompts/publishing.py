"""Publishing a version that passed its gates: in the registry, and as the one that serves."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from prefect import get_run_logger

from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.registry.aliases import CANDIDATE, CHAMPION
from sluice.adapters.registry.client import open_registry
from sluice.adapters.storage import explain_os_error, write_whole
from sluice.config.llm.loading import load_language_serving
from sluice.config.rollout import PromptRolloutConfig
from sluice.control.timeline import PROMOTE, TimelineEntry
from sluice.errors import Fault, PromotionRefused, PromptChanged
from sluice.home import find_home
from sluice.prompts.folder import load_prompt
from sluice.prompts.published import SmokeQuestion, write_published
from sluice.prompts.version import PromptVersion, check_unchanged
from tasks.prompts.mirroring import describe_published, note_mirrored
from tasks.prompts.version import VersionUnderRelease, read_evaluation
from tasks.run.decorators import effect
from tasks.run.events import REQUESTED, publish_event
from tasks.run.lineage import name_model, name_production, note_output
from tasks.run.names import name_origin
from tasks.run.served import publish_served


@dataclass(frozen=True)
class PublishedVersion:
    """A version that was published; `number` is the registry's.

    `is_candidate`: it waits for its rollout, or that was started.
    """

    prompt: str
    version: int
    identity: str
    number: int
    is_active: bool
    is_candidate: bool = False


@effect
def publish_version(given: VersionUnderRelease, place: Path) -> PublishedVersion:
    """Keep a version as it is for the gateway, and mirror it in the registry, once.

    Its files must be those that were evaluated.

    Raises:
        PromptChanged: the version's file changed since it was evaluated or published.
        StorageFull: there is no room for its copy.
        Fault: the registry cannot be reached.
    """
    found = load_prompt(given.prompt)
    version = found.find_version(given.version)
    check_unchanged(version, given.identity, "evaluated")
    new = read_evaluation(place)
    first = found.eval_set.cases[0]
    keep_published(version, SmokeQuestion(input=first.input, context=first.context))
    shown = describe_published(version, new.eval_set, new.model, len(new.cases))
    number = open_registry(find_home()).publish_prompt(shown)
    note_output(name_model(given.prompt, given.version))
    get_run_logger().info("%s v%d is published", given.prompt, given.version)
    return PublishedVersion(given.prompt, given.version, given.identity, number, False)


@effect
def activate_version(
    published: PublishedVersion, given: VersionUnderRelease, by: str = "", reason: str = ""
) -> PublishedVersion:
    """Make a published version the one that serves; the registry's alias follows.

    Where the prompt has a section `rollout` in `serving.yaml`, and another version serves, it
    becomes the candidate of a rollout instead. Where the registry is away, `watch` lets the alias
    `champion` follow later.

    Raises:
        PromotionRefused: a service has the prompt's name, or another version than the one that
            this one was compared with serves by now.
        ConfigInvalid: `serving.yaml` is not valid.
        Fault: the control store cannot be reached; or the registry, by a candidate.
    """
    control, prompt = prepare_control(), published.prompt
    before = control.routes.find(prompt)
    serves = before.champion if before else None
    if serves not in (given.active, published.version):
        raise PromotionRefused(
            f"{prompt}: v{serves} serves by now, and v{published.version} was compared with "
            f"{f'v{given.active}' if given.active else 'none'}; next: sluice {given.command}: "
            "answers that are kept cost nothing"
        )
    settings = load_language_serving().of(prompt).rollout
    if settings is not None and serves not in (None, published.version):
        return offer_candidate(published, settings)
    route = control.routes.follow_champion(prompt, published.version, "prompt")
    if route.champion != published.version:
        get_run_logger().warning("a rollout of %s is under way: it decides who serves", prompt)
        return published
    if before is None or before.champion != published.version:
        instead = f" instead of v{before.champion}" if before else ""
        entry = TimelineEntry(
            prompt,
            datetime.now(UTC),
            PROMOTE,
            published.version,
            by.strip(),
            reason.strip(),
            name_origin(),
            f"v{published.version} is active{instead}",
        )
        control.timeline.append(entry, once=True)
    note_output(name_production(prompt, published.version))
    get_run_logger().info("%s v%d is active", prompt, published.version)
    _show_active(control, published)
    _show_served(prompt)
    return replace(published, is_active=True)


def offer_candidate(published: PublishedVersion, settings: PromptRolloutConfig) -> PublishedVersion:
    """Make a published version the candidate, as a release of a model does with its version.

    With `start: auto` its rollout is requested, and not waited for.

    Raises:
        Fault: the registry cannot be reached.
    """
    prompt, version = published.prompt, published.version
    open_registry(find_home()).mark_active(prompt, version, CANDIDATE)
    starts = "its rollout is started" if settings.start == "auto" else "next"
    get_run_logger().info(
        "%s v%d is the candidate; %s: `sluice rollout %s`", prompt, version, starts, prompt
    )
    if settings.start == "auto":
        publish_event(prompt, REQUESTED, {"version": version})
    return replace(published, is_candidate=True)


def _show_active(control: Control, published: PublishedVersion) -> None:
    """Let the registry's alias follow the route; if the registry is away it follows later."""
    try:
        open_registry(find_home()).mark_active(published.prompt, published.version, CHAMPION)
        note_mirrored(control, published.prompt, published.version)
    except Fault as error:
        log = get_run_logger()
        log.warning("the registry does not show it yet, the next `watch` tries again: %s", error)


def _show_served(prompt: str) -> None:
    """Publish who served when; an error is logged, and changes nothing else."""
    try:
        publish_served(prompt)
    except Exception as error:
        get_run_logger().warning("the page of what served was not updated: %s", error)


def keep_published(version: PromptVersion, question: SmokeQuestion | None = None) -> None:
    """Write a version to where the gateway reads it; the same version again changes nothing.

    `question` is what its smoke test asks during a rollout.

    Raises:
        PromptChanged: another content was published as this version.
        StorageFull: there is no room.
        DataUnavailable: the folder cannot be written.
    """
    folder = find_home().published_prompts(version.name)
    files = {folder / name: text for name, text in write_published(version, question).items()}
    others = [path for path in folder.glob(f"v{version.version}-*.yaml") if path not in files]
    if others:
        raise PromptChanged(
            f"{version.name} v{version.version} was published with another content: "
            f"{others[0]}; next: make a new version: sluice prompt new {version.name} "
            f"--from {version.version}"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(files)
    except OSError as error:
        raise explain_os_error(error, f"published versions of {version.name}") from error
