"""The live part: a version passes its gates, and callers decide what they cannot see."""

import os
import shutil
import signal
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cli.output import say, show_rows, show_verdicts
from cli.prompts.results import run_prompt_release
from cli.runs import report_end
from demo.prompts.live.world import FIRST, POLICY, REPLY, SECOND, write_provider
from demo.prompts.stories import PromptStory
from demo.stack import run_gateway, wait_for_champion
from demo.watch import RolloutWatch, show_decisions, verify_log
from sluice.adapters.control.store import Control, open_control
from sluice.adapters.prompt_wishes import find_serving
from sluice.adapters.server import parts
from sluice.adapters.server.background import start_background
from sluice.adapters.server.process import is_free
from sluice.control.command import Author
from sluice.documents import read_json
from sluice.errors import ServerUnavailable
from sluice.home import CONFIGS, PROJECT, Home, find_home
from sluice.report.next_steps import advise
from sluice.rollout.record import RolloutRecord
from sluice.rollout.state import Phase, Verb
from sluice.verdict import Outcome

PROVIDER_PORT, RPS = 8190, 30.0
WATCH_SECONDS, START_SECONDS, STOP_SECONDS = 10.0, 60.0, 20.0
BY = Author("Ada Lovelace", "it costs three times as much and says no more", "the demo")


def play_live(name: str, story: PromptStory) -> bool:
    """Publish a first version, then play the story on live traffic; return whether it went so.

    Raises:
        ServerUnavailable: the provider or the gateway does not start.
        Fault: the control store or the registry cannot be reached.
    """
    home = find_home()
    control = open_control(home)
    with _run_provider(home) as url:
        write_provider(CONFIGS, url)
        say(f"\nLive: the prompt `{REPLY}` answers tickets by a simulated provider at {url}")
        if run_prompt_release(REPLY, FIRST, "the first version").code:
            say(f"it did NOT go as it has to: v{FIRST} had to be published")
            return False
        with run_gateway(home) as addresses:
            wait_for_champion(home, addresses.gateway, REPLY, FIRST)
            with _run_callers(home, addresses.gateway) as file:
                say(f"{RPS:g} callers a second from now on; each rates its answer")
                say(f"watch it live    {addresses.page}")
                if name == "silent":
                    return _play_silent(url, file, story)
                return _play_rollout(control, file, name, story)


def _play_rollout(control: Control, file: Path, name: str, story: PromptStory) -> bool:
    """Publish the second version, and roll it out."""
    say(f"\nv{SECOND} goes through the same gates, on the same cases")
    if run_prompt_release(REPLY, SECOND, "a better prompt").code:
        say(f"it did NOT go as it has to: the gates had to pass v{SECOND}")
        return False
    say(f"its gates passed it; it is the candidate, and v{FIRST} serves\n")
    from flows.rollout import rollout

    person = threading.Thread(target=_answer_pause, args=(control,), daemon=True)
    person.start()
    with RolloutWatch(control, REPLY):
        state: Any = rollout(REPLY, policy=POLICY, return_state=True)
    result = report_end(state)
    record = control.rollouts.list_rollouts(REPLY)[-1]
    log = control.rollouts.read_log(REPLY, record.number)
    show_decisions(log)
    _show_answers(file)
    say(f"derived again from the decision log alone: all {verify_log(control, record)} steps")
    serves = find_serving(control, REPLY)
    if not name:
        return _conclude(record.state.phase is Phase.DONE and serves == SECOND, story, record)
    rules = [
        item["rule"] for _, item in log[1:] if item["decision"] in (Verb.ROLL_BACK, Verb.PAUSE)
    ]
    is_right = rules[:1] == [story.rule] and result.error == story.caught_by and serves == FIRST
    return _conclude(is_right, story, record)


def _answer_pause(control: Control) -> None:
    """Take the candidate off once the rollout has paused, as a person does who reads the page."""
    from tasks.rollout.actions import roll_back

    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        found = control.rollouts.find_open(REPLY)
        if found is not None and found.state.phase is Phase.PAUSED:
            say(f"paused: {found.state.reason}; next: {advise(found)}")
            time.sleep(2.0)
            say(f"{BY.by}: {BY.reason}")
            roll_back(control, REPLY, BY, lambda _: None)
            return
        time.sleep(0.5)


def _conclude(is_right: bool, story: PromptStory, record: RolloutRecord) -> bool:
    """Say how the rollout ended, and whether it had to end so."""
    ended = f"v{record.candidate} is {record.state.phase}: {record.state.reason}"
    if is_right:
        say(f"as intended: {ended}")
        return True
    say(f"NOT as intended: {story.title}; {ended}")
    return False


def _play_silent(url: str, file: Path, story: PromptStory) -> bool:
    """Let the provider change its model, and evaluate what serves with answers asked anew."""
    from tasks.prompts.trial import try_version

    time.sleep(WATCH_SECONDS)
    _show_answers(file)
    say("\nThe provider puts another model in its place; name and revision stay the same")
    urllib.request.urlopen(urllib.request.Request(f"{url}/change", method="POST"), timeout=5)  # noqa: S310
    time.sleep(WATCH_SECONDS)
    _show_answers(file)
    say(f"\nv{FIRST}, which serves, is evaluated again on its own cases, and no kept answer counts")
    shutil.rmtree(find_home().replies, ignore_errors=True)
    found = try_version(REPLY, FIRST, say)
    show_verdicts(f"Verdicts of {REPLY} v{FIRST}", list(found.verdicts))
    failed = [verdict.gate for verdict in found.verdicts if verdict.outcome is Outcome.FAIL]
    if "prompt" in failed:
        say(f"caught, as intended: {story.title}")
        return True
    say(f"NOT caught: {story.title}")
    return False


def _show_answers(file: Path) -> None:
    """Print what callers got, by assigned arm."""
    counts = read_counts(file)
    rows = [
        {
            "assigned arm": source["arm"],
            "answered by": f"v{source['version']}",
            "answers": f"{source['answers']:,}",
            "callers content": f"{source['right'] / max(source['answers'], 1):.1%}",
            "addresses read": f"{source['addresses']:,}",
        }
        for source in counts.get("sources", [])
    ]
    show_rows("Answers to callers so far", rows)
    errors = ", ".join(f"{kind}: {n:,}" for kind, n in sorted(counts.get("errors", {}).items()))
    say(f"callers sent {counts.get('sent', 0):,} requests; errors at callers: {errors or '0'}")


def read_counts(file: Path) -> dict[str, Any]:
    """Return the callers' counts; empty before they wrote any."""
    with suppress(OSError, ValueError):
        found: dict[str, Any] = read_json(file)
        return found
    return {}


@contextmanager
def _run_provider(home: Home) -> Iterator[str]:
    """Run the simulated provider, and return its address.

    Raises:
        ServerUnavailable: it does not answer within a minute.
    """
    port = parts.choose_port(PROVIDER_PORT, say, "the simulated provider is")
    words = ["-m", "demo.prompts.live.provider", str(port)]
    process = start_background("provider", words, os.environ, home.logs / "provider.log", PROJECT)
    try:
        deadline = time.monotonic() + START_SECONDS
        while is_free(port):
            if time.monotonic() > deadline:
                raise ServerUnavailable(process.describe_end())
            time.sleep(0.2)
        yield parts.format_address(port)
    finally:
        process.stop(signal.SIGTERM, STOP_SECONDS)


@contextmanager
def _run_callers(home: Home, address: str) -> Iterator[Path]:
    """Run callers of the prompt; return the file of their counts."""
    file = home.logs / "prompt-callers.json"
    values = {"--url": address, "--prompt": REPLY, "--rps": RPS, "--json": file}
    words = ["-m", "demo.prompts.live.callers", *(str(w) for pair in values.items() for w in pair)]
    log = home.logs / "prompt-callers.log"
    process = start_background("the callers", words, os.environ, log, PROJECT)
    try:
        yield file
    finally:
        process.stop(signal.SIGTERM, STOP_SECONDS)
