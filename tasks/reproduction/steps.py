"""The tasks of the flow `reproduce`: gather what is recorded, make it again, compare, report."""

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact

from sluice.adapters.control.store import prepare_control
from sluice.adapters.machine import find_unlocked, read_environment
from sluice.adapters.registry.client import open_registry
from sluice.adapters.reproduction.checkout import open_checkout
from sluice.adapters.reproduction.environment import make_environment, run_module
from sluice.control.timeline import REPRODUCE, TimelineEntry
from sluice.errors import NotReproducible, ReproductionDiffers
from sluice.home import LOCK, PROJECT, find_home
from sluice.identity import UNKNOWN, CodeVersion, Environment
from sluice.prompts.listing import list_prompts
from sluice.reproduction.comparison import ComparedFact, Reproduction
from sluice.reproduction.page import describe_page, write_reproduction
from sluice.reproduction.record import choose_environment
from tasks.reproduction.models import compare_model, gather_model, read_model_record
from tasks.reproduction.prompts import (
    compare_prompt,
    gather_prompt,
    place_folders,
    read_prompt_record,
)
from tasks.run.artifacts import publish
from tasks.run.decorators import effect, gate
from tasks.run.events import publish_event
from tasks.run.forms import AS_RECORDED
from tasks.run.names import name_origin

EVALUATE_MODULE = "tasks.reproduction.evaluate_prompt"
TRAIN_MODULE = "tasks.reproduction.train_model"
FILE = "evidence/reproduction.json"
"""The last reproduction, among the files of the version's registry run."""
MAX_MESSAGE = 400


@dataclass(frozen=True)
class ReproductionResult:
    """How a reproduction ended: `identical`, and what was compared."""

    service: str
    version: int
    outcome: str
    message: str


@contextmanager
def open_workspace() -> Iterator[Path]:
    """Give a temporary folder for checkout, environment and rows; it is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="sluice-reproduce-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@effect
def reproduce_version(service: str, version: int, seed: int, folder: Path) -> Reproduction:
    """Make a version again from its record, and compare it with the record.

    `seed` trains with another seed than the recorded one, to see that the comparison notices it.

    Raises:
        NotReproducible: something that is needed is gone; each case has its own class.
        Fault: a store cannot be reached.
    """
    began = time.monotonic()
    if service in list_prompts():
        facts, used = _reproduce_prompt(service, version, folder)
    else:
        facts, used = _reproduce_model(service, version, seed, folder)
    notes = _list_notes(used, facts, seed)
    words, seconds = used.words, time.monotonic() - began
    return Reproduction(service, version, tuple(facts), words, tuple(notes), seconds)


@dataclass(frozen=True)
class _Used:
    """Which environment made a version again; `words` say so, `image` is the recorded one's."""

    is_present: bool
    words: str
    image: str


def _reproduce_model(
    service: str, version: int, seed: int, folder: Path
) -> tuple[list[ComparedFact], _Used]:
    log = get_run_logger()
    record = read_model_record(service, version)
    log.info("%s: commit %s", record.name, record.identity.code.commit[:12])
    data = gather_model(record, folder, seed)
    log.info("data version %d: %s rows", data.version, f"{data.rows:,}")
    identity = record.identity
    used = make_again(folder, TRAIN_MODULE, identity.code, identity.environment)
    return compare_model(record, data, folder), used


def _reproduce_prompt(prompt: str, version: int, folder: Path) -> tuple[list[ComparedFact], _Used]:
    record = read_prompt_record(prompt, version)
    get_run_logger().info("%s v%d: commit %s", prompt, version, record.code.commit[:12])
    gather_prompt(record, folder)
    used = make_again(folder, EVALUATE_MODULE, record.code, record.environment)
    return compare_prompt(record, folder), used


def make_again(folder: Path, module: str, code: CodeVersion, environment: Environment) -> _Used:
    """Run a module with the code of a commit, in the environment of its lock.

    Raises:
        CommitLost: the repository does not have the commit.
        LockUninstallable: the environment cannot be made.
        NotReproducible: the process failed, or the commit's lock is not the recorded one.
    """
    import sys

    log = get_run_logger()
    with open_checkout(PROJECT, code.commit, folder) as checkout:
        lock = checkout / LOCK.name
        locked = read_environment(lock).lock_hash
        if environment.lock_hash not in (locked, UNKNOWN):
            raise NotReproducible(
                f"{LOCK.name} of commit {code.commit[:12]} has the hash {locked[:12]}, the version "
                f"was made with {environment.lock_hash[:12]}; next: reproduce in its container "
                f"image ({environment.image or 'none is on record'})"
            )
        choice = choose_environment(environment, read_environment(LOCK))
        interpreter = Path(sys.executable)
        if not choice.is_present:
            log.info("making an environment of the version's lock: %s", choice.reason)
            interpreter = make_environment(lock, environment.python, folder)
        log.info("running %s at commit %s", module, code.commit[:12])
        run_module(interpreter, checkout, module, folder, place_folders(checkout))
    name = "this environment" if choice.is_present else "an environment of its own"
    return _Used(choice.is_present, f"{name} ({choice.reason})", environment.image)


def _list_notes(used: _Used, facts: Sequence[ComparedFact], seed: int) -> list[str]:
    notes = []
    unlocked = find_unlocked() if used.is_present else ""
    if unlocked:
        notes.append(f"installed here are other packages than the lock has: {unlocked}")
    if used.image:
        notes.append(f"the version was made in the container image {used.image}")
    if seed != AS_RECORDED:
        notes.append(f"seed {seed} was asked for instead of the recorded one")
    others = [item.describe() for item in facts if not item.decides and not item.is_same]
    return [*notes, *others]


@effect
def report_reproduction(found: Reproduction) -> None:
    """Publish a reproduction: its page, its event, the timeline, and a file of the registry run.

    Raises:
        Fault: the control store or the registry cannot be reached.
    """
    page = describe_page(found.service)
    publish(create_markdown_artifact, markdown=write_reproduction(found), **page)
    event = "reproduction.identical" if found.is_identical else "reproduction.differs"
    payload = {"version": found.version, "outcome": found.outcome, "reason": found.describe()}
    publish_event(found.service, event, payload)
    message = f"v{found.version}: {found.describe()}"[:MAX_MESSAGE]
    entry = TimelineEntry(
        found.service,
        datetime.now(UTC),
        REPRODUCE,
        found.version,
        origin=name_origin(),
        message=message,
    )
    prepare_control().timeline.append(entry, once=True)
    if found.service in list_prompts():
        return
    registry = open_registry(find_home())
    version = read_model_record(found.service, found.version).version
    registry.log_json(version.run_id, FILE, found.to_dict())


@gate
def pass_reproduction(found: Reproduction) -> ReproductionResult:
    """Return the result of an identical reproduction.

    Raises:
        ReproductionDiffers: something differs; the first that does is named.
    """
    log = get_run_logger()
    for item in found.facts:
        log.info("%s: %s", item.name, "the same" if item.is_same else item.describe())
    for note in found.notes:
        log.warning("note: %s", note)
    if not found.is_identical:
        raise ReproductionDiffers(
            f"{found.service} v{found.version}: {found.describe()}; next: look at the page "
            f"{found.service}-reproduction: the first fact that differs is the cause of the others"
        )
    return ReproductionResult(found.service, found.version, found.outcome, found.describe())
