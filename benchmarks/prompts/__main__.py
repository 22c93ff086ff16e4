"""An evaluation of 200 cases beside promptfoo's: `make bench-prompts`.

`python -m benchmarks.prompts [--rounds 7]`. Both ask the same provider, which answers over HTTP on
loopback after 50 ms; 50 requests at a time, no answer kept from before; each answer is checked for
the number of its question. Both write their results and a page or file with them. The commands
take turns, and each figure is the median of all rounds.

Less the imports: our command, less a process that only imports what the command imports. Our
command also looks at every answer with the guardrails, judges bounds, and keeps a budget.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree

import yaml

from benchmarks.harness.results import Row, report
from cli.output import say
from sluice.home import PROJECT

PEER = PROJECT / ".venv-promptfoo"
PEER_VERSION = "0.123.1"
CASES, AT_A_TIME, SECONDS = 200, 50, 0.05
MODEL = "gpt-4.1-mini"
QUESTION = "You are helpful. Answer briefly. What is the number in case {number}?"
KEY = "sk-test-0123456789-secret"
IMPORTS = (
    "import cli.__main__, tasks.prompts.trial, aiohttp, genai_prices, genai_prices.data, jinja2, "
    "sluice.adapters.control.routes, sluice.adapters.control.spending"
)
NAMES = {
    "promptfoo": "promptfoo eval",
    "ours": "sluice prompt evaluate",
    "cached": "sluice prompt evaluate, all cases kept from before",
    "imports": "a process that only imports",
}


@dataclass
class Figures:
    """Seconds of one kind of process in all rounds: by the clock, and of the processor."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def run(self, command: list[str], folder: Path, variables: Mapping[str, str]) -> None:
        """Run a process to its end, and add what it took."""
        used, began = _read_cpu(), time.perf_counter()
        ended = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        self.wall.append(time.perf_counter() - began)
        self.cpu.append(_read_cpu() - used)
        assert ended.returncode == 0, ended.stdout + ended.stderr

    def less(self, other: "Figures") -> float:
        """Return the median over the rounds of what it took longer than another process."""
        pairs = zip(self.wall, other.wall, strict=True)
        return statistics.median(ours - theirs for ours, theirs in pairs)

    def over(self, other: "Figures") -> float:
        """Return the median over the rounds of the ratio of both."""
        pairs = zip(self.wall, other.wall, strict=True)
        return statistics.median(ours / theirs for ours, theirs in pairs)


def _read_cpu() -> float:
    found = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found.ru_utime + found.ru_stime


@dataclass(frozen=True)
class Provider:
    """The provider's process: its address, and how many requests it has had."""

    process: "subprocess.Popen[str]"
    url: str

    def count(self) -> tuple[int, int]:
        """Return the requests since the last call, and the most at a time."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        asked, most = self.process.stdout.readline().split()
        return int(asked), int(most)


@contextmanager
def run_provider() -> Iterator[Provider]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.prompts.provider"],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield Provider(process, process.stdout.readline().strip())
    finally:
        process.kill()
        process.wait()


def write_ours(folder: Path, url: str) -> dict[str, str]:
    """Write the prompt, its cases and the provider for us; return the variables."""
    prompt = folder / "prompts" / "bench"
    prompt.mkdir(parents=True)
    values = {
        "name": "bench",
        "version": 1,
        "model": MODEL,
        "temperature": 0,
        "max_tokens": 50,
        "template": QUESTION,
        "eval_criteria": [{"name": "safety", "type": "safety"}],
    }
    (prompt / "v1.yaml").write_text(yaml.safe_dump(values))
    # 200 cases cannot prove the usual .99: the limit does not matter here.
    limits = {"safety": {"limit": 0.9, "reason": "a bench, not a service"}}
    (prompt / "limits.yaml").write_text(yaml.safe_dump({"development": limits}))
    with (prompt / "eval_set.jsonl").open("w") as file:
        for number in range(CASES):
            criterion = {
                "name": "number",
                "type": "contains",
                "expected": str(number),
                "threshold": 0.8,
            }
            case = {"input": {"number": str(number)}, "per_case": [criterion]}
            file.write(json.dumps(case) + "\n")
    configs = folder / "configs" / "llm"
    configs.mkdir(parents=True)
    provider = {
        "kind": "openai",
        "url": f"{url}/v1",
        "key": {"env": "OPENAI_API_KEY"},
        "concurrency": AT_A_TIME,
        "prices": "openai",
    }
    model = {"provider": "fake", "id": MODEL, "context": 100_000, "max_tokens": 1_000}
    providers = {"providers": {"fake": provider}, "models": {MODEL: model}}
    (configs / "providers.yaml").write_text(yaml.safe_dump(providers))
    return {
        "SLUICE_HOME": str(folder / "home"),
        "SLUICE_CONFIGS": str(folder / "configs"),
        "SLUICE_PROMPTS": str(folder / "prompts"),
        "SLUICE_ENV": "development",
        "OPENAI_API_KEY": KEY,
    }


def write_peer(folder: Path, url: str) -> dict[str, str]:
    """Write promptfoo's configuration of the same prompt and cases; return the variables."""
    tests = [
        {"vars": {"number": str(n)}, "assert": [{"type": "contains", "value": str(n)}]}
        for n in range(CASES)
    ]
    provider = {"id": f"openai:chat:{MODEL}", "config": {"temperature": 0, "max_tokens": 50}}
    config = {
        "prompts": [QUESTION.replace("{number}", "{{number}}")],
        "providers": [provider],
        "tests": tests,
    }
    (folder / "promptfooconfig.yaml").write_text(yaml.safe_dump(config))
    return {
        "PATH": f"{PEER / 'bin'}:{os.environ['PATH']}",
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": f"{url}/v1",
        "PROMPTFOO_CONFIG_DIR": str(folder / "peer"),
        "PROMPTFOO_DISABLE_TELEMETRY": "1",
        "PROMPTFOO_DISABLE_UPDATE": "1",
        "PROMPTFOO_DISABLE_REMOTE_GENERATION": "1",
    }


def measure(folder: Path, rounds: int) -> dict[str, Figures]:
    """Return the figures of all commands, which take turns."""
    found = {name: Figures() for name in NAMES}
    sluice = str(Path(sys.executable).with_name("sluice"))
    ours = [sluice, "prompt", "evaluate", "bench", "1"]
    entry = PEER / "node_modules" / "promptfoo" / "dist" / "src" / "entrypoint.js"
    options = ["--no-cache", "--no-table", "--no-progress-bar", "--max-concurrency"]
    theirs = ["node", str(entry), "eval", "-c", "promptfooconfig.yaml", *options, str(AT_A_TIME)]
    theirs += ["--output", "out.json"]
    with run_provider() as provider:
        variables, peer = write_ours(folder, provider.url), write_peer(folder, provider.url)
        for number in range(-1, rounds):  # the first one warms the disk, and is not counted
            kept = found if number >= 0 else {name: Figures() for name in NAMES}
            rmtree(folder / "home" / "prompts", ignore_errors=True)
            kept["ours"].run(ours, folder, variables)
            _check(provider, CASES)
            kept["promptfoo"].run(theirs, folder, peer)
            _check(provider, CASES)
            kept["cached"].run(ours, folder, variables)
            _check(provider, 0)
            kept["imports"].run([sys.executable, "-c", IMPORTS], folder, variables)
            walls = {name: f"{kept[name].wall[-1]:.2f}" for name in NAMES}
            say(f"round {number + 1} of {rounds}: {walls}")
    return found


def _check(provider: Provider, cases: int) -> None:
    asked, most = provider.count()
    assert asked == cases, f"{asked} requests instead of {cases}"
    assert most <= AT_A_TIME, f"{most} requests at a time"


def list_rows(found: Mapping[str, Figures]) -> list[Row]:
    ours, peer = found["ours"], found["promptfoo"]
    cached, imports = found["cached"], found["imports"]
    floor = CASES / AT_A_TIME * SECONDS
    rows = [Row(NAMES[name], statistics.median(one.wall), "s") for name, one in found.items()]
    rows += [
        Row(f"{NAMES[name]}: processor", statistics.median(one.cpu), "s of CPU")
        for name, one in found.items()
    ]
    return [
        *rows,
        Row("waiting for the provider, at least", floor, "s"),
        Row("ours over promptfoo, whole command", ours.over(peer), "times", 0.2),
        Row("ours, less the imports", ours.less(imports), "s", 2.0),
        Row("all cases kept from before, less the imports", cached.less(imports), "s", 0.2),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        found = measure(Path(name), rounds)
    notes = {
        "promptfoo": PEER_VERSION,
        "cases": CASES,
        "at a time": AT_A_TIME,
        "milliseconds an answer": SECONDS * 1000,
        "rounds": rounds,
        "waiting processes at its end": os.getloadavg()[0],
    }
    report("prompts", list_rows(found), notes)


if __name__ == "__main__":
    main()
