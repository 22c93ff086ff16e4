"""The watch on prompts: a change of what is wished, a mismatch, a file that may not change."""

import os
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.prompt_wishes import find_edited, read_wish
from sluice.control.cause import PROMPT_CHANGED
from sluice.control.prompt_wish import PromptWish, name_change
from sluice.control.watermark import Watermark, follow_change
from sluice.errors import PromptChanged, PromptInvalid
from sluice.home import environment_name, find_home
from sluice.prompts.active import ACTIVE
from sluice.prompts.change import identify_change
from sluice.prompts.evaluation.record import read_evaluations
from sluice.prompts.folder import Prompt, find_folder, load_active, load_prompt
from sluice.prompts.listing import list_prompts
from sluice.report.prompts.standing import write_standing
from tasks.data.watching import SETTLED_SECONDS, SourceWatch
from tasks.prompts.mirroring import is_mirrored, mirror_prompt
from tasks.run.artifacts import create_page, publish
from tasks.run.events import publish_event

BEGUN = ("", "prompts")
"""Service and subject of the watermark that says whether prompts were looked at before."""
CHANGE, MISMATCH, EDITED = "prompt change", "prompt mismatch", "prompt edited"
"""Subjects of a prompt's watermarks: what was announced, and what people were told."""
NOTHING = "none"
KEY = "prompts"
"""Key of the artifact that shows what is wished and what serves."""


@dataclass(frozen=True)
class PromptNews:
    """What is new about a prompt: watermarks as they were read, and as they shall be.

    `wish` is None where no version is wished in this environment. `is_settling` says that a file
    is too new: a person or a checkout may not be done with it.
    """

    prompt: Prompt
    wish: PromptWish | None
    change: str
    seen: Watermark
    target: Watermark
    mismatch: Watermark
    edited: Watermark
    warning: str
    is_settling: bool
    is_mirrored: bool

    @property
    def is_due(self) -> bool:
        """Whether a release is to be started."""
        return self.target != self.seen and self.target.announced is not None

    @property
    def explanation(self) -> str:
        """The mismatch that is to be told; empty while a release is about to end it."""
        is_announced = self.target.mark == self.change and self.target.announced is not None
        if self.wish is None or is_announced or self.wish.outcome == "":
            return ""
        return self.wish.explain()

    @property
    def work(self) -> str:
        """What a watch has to do; empty if there is nothing."""
        if self.is_settling:
            return ""
        if self.is_due:
            return f"{self.change} has no release"
        if _is_news(self.edited, self.warning) or _is_news(self.mismatch, self.explanation):
            return "a mismatch to tell"
        return "" if self.is_mirrored else "the registry does not show what serves"


def begin_watch() -> None:
    """Take the prompts as they are for known, unless they were looked at before.

    From then on a change starts a release. What was there before starts none: nobody who only
    starts a stack pays for evaluations.

    Raises:
        PromptInvalid: `config.yaml` is not valid.
        Fault: the control store cannot be reached.
    """
    control = prepare_control()
    begun = control.watermarks.find(*BEGUN)
    if not begun.is_new:
        return
    watch = SourceWatch()
    for name in list_watched(control):
        with watch.isolate_errors(name):
            _remember(control, find_news(control, name))
    control.watermarks.move(begun, begun.settle(datetime.now(UTC).isoformat(timespec="seconds")))


def list_watched(control: Control) -> list[str]:
    """Return the prompts that are wished in this environment, or that serve.

    Raises:
        PromptInvalid: `config.yaml` is not valid.
        Fault: the control store cannot be reached.
    """
    serving = {route.service for route in control.routes.list_routes("prompt")}
    return sorted({*load_active().of(environment_name()), *serving} & {*list_prompts()})


def choose_prompts() -> list[str]:
    """Return the prompts to look at; at the first look of all, they are taken for known.

    Raises:
        PromptInvalid: `config.yaml` is not valid.
        Fault: the control store cannot be reached.
    """
    begin_watch()
    return list_watched(prepare_control())


def find_prompt_work(name: str) -> str:
    """Return what a watch has to do for a prompt; empty if there is nothing.

    Raises:
        PromptInvalid: a file is not valid.
        PromptChanged: a version that was evaluated has another content, and people were told.
        Fault: the control store cannot be reached.
    """
    news = find_news(prepare_control(), name)
    if news.warning and not news.work:
        raise PromptChanged(news.warning)
    return news.work


def watch_prompts(watch: SourceWatch) -> None:
    """Announce changes, tell mismatches and edited versions, and mirror what serves.

    An error of one prompt does not stop the others.
    """
    with watch.isolate_errors("prompts"):
        found, changes = dict[str, PromptNews](), len(watch.changes)
        names, control = choose_prompts(), prepare_control()
        for name in names:
            with watch.isolate_errors(name):
                found[name] = find_news(control, name)
                _settle(control, found[name], watch)
        if len(watch.changes) > changes:
            rows = {name: news.wish for name, news in found.items() if news.wish}
            page = write_standing(rows.values(), environment_name())
            publish(create_page, KEY, markdown=page, description="What is wished, what serves")


def find_news(control: Control, name: str) -> PromptNews:
    """Return what is new about a prompt.

    Raises:
        PromptInvalid: a file is not valid.
        Fault: the control store cannot be reached.
    """
    environment, now = environment_name(), datetime.now(UTC)
    folder = find_folder(name)
    files = take_fingerprint(folder)
    prompt = _load(name, folder, files)
    wished = load_active().of(environment).get(name)
    records = read_evaluations(find_home().evaluations(name))
    marks = control.watermarks
    seen = marks.find(name, CHANGE)
    edited = find_edited(prompt, records)
    wish, change, target = None, "", seen
    if wished is not None:
        wish = read_wish(control, prompt, wished, environment)
        change = name_change(wished, identify_change(prompt, wished, environment))
        target = follow_change(seen, change, wish.outcome is not None, now)
        may_start = wish.may_start and not {wished, wish.serves} & set(edited)
        if target != seen and target.announced and not may_start:
            target = seen
    return PromptNews(
        prompt=prompt,
        wish=wish,
        change=change,
        seen=seen,
        target=target,
        mismatch=marks.find(name, MISMATCH),
        edited=marks.find(name, EDITED),
        warning="; ".join(edited.values()),
        is_settling=_is_settling(files),
        is_mirrored=is_mirrored(control, name),
    )


def _settle(control: Control, news: PromptNews, watch: SourceWatch) -> None:
    """Do what is to be done about a prompt.

    Raises:
        PromptChanged: a version that was evaluated has another content.
        Fault: the control store or the registry cannot be reached.
    """
    if news.is_settling:
        return
    name = news.prompt.name
    if _tell(control, news.edited, news.warning):
        publish_event(name, "prompt.edited", {"reason": news.warning})
    moved = news.target != news.seen and control.watermarks.move(news.seen, news.target)
    if moved and news.is_due and news.wish:
        publish_event(name, PROMPT_CHANGED, describe_change(news))
        watch.note_announced(name, news.change)
    if _tell(control, news.mismatch, news.explanation) and news.wish:
        wish = news.wish
        facts = {"version": wish.wished, "serves": wish.serves or 0, "reason": news.explanation}
        publish_event(name, "prompt.mismatch", facts)
        watch.note_change(name, news.explanation)
    watch.note_change(name, mirror_prompt(control, name))
    if news.warning:
        raise PromptChanged(news.warning)


def describe_change(news: PromptNews) -> dict[str, Any]:
    """Return the payload of a change: the version, its identity, and what else decides."""
    version = news.prompt.find_version(news.wish.wished) if news.wish else None
    return {
        "prompt": news.prompt.name,
        "version": version.version if version else 0,
        "identity": version.identity if version else "",
        "change": news.change,
    }


def _remember(control: Control, news: PromptNews) -> None:
    """Take what is there for known, and tell nobody."""
    marks = control.watermarks
    if news.change:
        marks.move(news.seen, news.seen.settle(news.change))
    known = replace(news, target=news.seen)
    _tell(control, known.mismatch, known.explanation)
    _tell(control, known.edited, known.warning)


def _tell(control: Control, seen: Watermark, text: str) -> bool:
    """Store what is told to people; return whether it has to be told now, by this run."""
    if not _is_news(seen, text):
        return False
    return control.watermarks.move(seen, seen.settle(text or NOTHING)) and bool(text)


def _is_news(seen: Watermark, text: str) -> bool:
    return (text or NOTHING) != (seen.mark or NOTHING)


Fingerprint = tuple[tuple[str, float, int], ...]


def take_fingerprint(folder: Path) -> Fingerprint:
    """Return name, time and size of a prompt's files and of the wish, which change with them.

    Raises:
        PromptInvalid: a file is gone again.
    """
    try:
        found = [(path, path.stat()) for path in (*folder.iterdir(), folder.parent / ACTIVE)]
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise PromptInvalid(f"{folder}: changed while it was read: {reason}") from error
    return tuple(sorted((path.name, state.st_mtime, state.st_size) for path, state in found))


@lru_cache(maxsize=64)
def _load(name: str, folder: Path, _files: Fingerprint) -> Prompt:
    """Read a prompt, once as long as its files stay as they are."""
    return load_prompt(name)


def _is_settling(files: Fingerprint) -> bool:
    """Whether a file was written a moment ago; a time that lies ahead says nothing."""
    now = time.time()
    return any(0 <= now - written < SETTLED_SECONDS for _, written, _ in files)
