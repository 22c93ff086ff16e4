"""Arguments are checked before anything starts; commands that need no server start none."""

from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import typer

from cli.__main__ import app
from cli.options import ActionName
from sluice.home import PROJECT, Home
from sluice.rollout.state import Action
from support.releases.runs import run_sluice
from support.servers.forks import run_code
from support.servers.images import add_registry_database

NOWHERE = "http://127.0.0.1:9/api"
WHO = ("--by", "Ada", "--reason", "a test")
BAD = {
    "ingest: no such file": (("ingest", "employment", "none.csv"), "SOURCE: found 'none.csv'"),
    "ingest: nothing named": (("ingest", "employment"), "no file was named"),
    "release: no data": (("release", "employment"), "employment: no data yet; ingest a file"),
    "release: no such file": (("release", "employment", "--ingest", "no.csv"), "found 'no.csv'"),
    "release: mitigation": (("release", "employment", "--mitigation", "prayer"), "as-configured"),
    "approve: blank name": (("approve", "employment", "--by", " ", "--reason", "x"), "--by: found"),
    "refuse: blank reason": (("refuse", "employment", "--by", "A", "--reason", ""), "--reason: f"),
    "rollout: policy": (("rollout", "employment", "--policy", "no"), "no policy 'no'"),
    "rollout: service": (("rollout", "nobody"), "no service 'nobody'"),
    "rollout-control: action": (("rollout-control", "employment", "sleep", *WHO), "promote-now"),
    "rollout-control: service": (("rollout-control", "nobody", "skip", *WHO), "no service"),
    "rollout-control: blank": (
        ("rollout-control", "employment", "skip", "--by", " ", "--reason", "x"),
        "skip: found no name; needed: a name and a reason",
    ),
    "rollback: service": (("rollback", "nobody", *WHO), "no service or prompt 'nobody'; known: a"),
    "rollback: blank": (("rollback", "employment", "--by", "A", "--reason", " "), "no reason"),
    "experiment plan: name": (("experiment", "plan", "nothing"), "no experiment 'nothing'"),
    "experiment start: name": (("experiment", "start", "nothing"), "no experiment 'nothing'"),
    "experiment status: name": (("experiment", "status", "nothing"), "no experiment 'nothing'"),
    "experiment analyse: name": (("experiment", "analyse", "nothing"), "no experiment 'nothing'"),
    "experiment decide: choice": (
        ("experiment", "decide", "nothing", "keep", *WHO),
        "'promote', 'iterate', 'discard'",
    ),
    "experiment decide: blank": (
        ("experiment", "decide", "employment-feedback", "discard", "--by", " ", "--reason", "x"),
        "found no name",
    ),
    "restore: version": (("restore", "employment", "0", *WHO), "greater than or equal to 1"),
    "restore: service": (("restore", "nobody", "1", *WHO), "no service or prompt 'nobody'"),
    "promote: service": (("promote", "nobody"), "no service 'nobody'"),
    "show: service": (("show", "nobody"), "no service 'nobody'"),
    "history: service": (("history", "nobody"), "no service 'nobody'"),
    "history: served": (("history", "nobody", "--served"), "no service or prompt 'nobody'"),
    "reproduce: service": (("reproduce", "nobody", "1"), "no service or prompt 'nobody'; known: a"),
    "reproduce: version": (("reproduce", "employment", "0"), "greater than or equal to 1"),
    "ingest: service": (("ingest", "nobody", "f.csv"), "no service 'nobody'"),
    "release: service": (("release", "nobody"), "no service 'nobody'"),
    "approve: service": (("approve", "nobody", *WHO), "no service 'nobody'"),
    "approve: version": (("approve", "employment", *WHO, "--version", "0"), "1 and more, or -1"),
    "refuse: service": (("refuse", "nobody", *WHO), "no service 'nobody'"),
    "refuse: version": (("refuse", "employment", *WHO, "--version", "-2"), "1 and more, or -1"),
    "rollout: version": (("rollout", "employment", "--version", "0"), "1 and more, or -1"),
    "accept-store: service": (("accept-store", "nobody", *WHO), "no service 'nobody'"),
    "accept-store: blank": (
        ("accept-store", "employment", "--by", " ", "--reason", "x"),
        "no name",
    ),
    "simulate: policy": (("simulate", "no"), "no policy 'no'"),
    "simulate: fault": (("simulate", "laptop", "--fault", "gremlins"), "found 'gremlins'"),
    "feasible: service": (("feasible", "nobody", "--rps", "5"), "no service 'nobody'"),
    "retention: two at once": (("retention", "--undo", "--accept", *WHO), "one of them at a time"),
    "retention: blank": (("retention", "--undo", "--by", " ", "--reason", "x"), "both not empty"),
    "advisories: no archive": (
        ("advisories", "no.zip", "--whole-index", "PyPI", "--date", "2026-11-30"),
        "there is no file no.zip",
    ),
    "advisories: index": (
        ("advisories", "a.zip", "--whole-index", "npm", "--date", "2026-11-30"),
        "found 'npm'; allowed: PyPI",
    ),
    "advisories: day": (
        ("advisories", "a.zip", "--whole-index", "PyPI", "--date", "soon"),
        "soon",
    ),
    "audit: word": (("audit", "everything"), "unexpected extra argument"),
    "sign: service": (("sign", "nobody", "1", *WHO), "no service 'nobody'"),
    "sign: blank": (("sign", "employment", "1", "--by", " ", "--reason", "x"), "no name"),
    "keys: action": (("keys", "forge"), "found 'forge'; allowed: list, rotate, trust, remove"),
    "keys: no file": (("keys", "trust", "none.pem"), "there is no file none.pem"),
    "keys: not trusted": (("keys", "remove", "0123"), "found key '0123'; trusted are: none"),
    "keys: nothing named": (("keys", "remove"), "keys remove: needs a key"),
    "replay: service": (("replay", "nobody"), "no service 'nobody'"),
    "replay: rate": (("replay", "employment", "--rps", "-1"), "allowed: --rps and --seconds more"),
    "score: service": (("score", "nobody", "f.parquet", "--output", "o"), "no service 'nobody'"),
    "score: no such input": (
        ("score", "employment", "none.parquet", "--output", "o"),
        "SOURCE: found 'none.parquet', which does not exist",
    ),
    "score: version and alias": (
        ("score", "employment", ".", "--output", "o", "--version", "1", "--alias", "previous"),
        "found --version 1 and --alias previous; allowed: one of them",
    ),
    "score: version": (
        ("score", "employment", ".", "--output", "o", "--version", "0"),
        "1 and more, or -1",
    ),
    "expect: service": (("expect", "nobody", "remove", "1"), "nobody"),
    "prompt show: prompt": (("prompt", "show", "nothing"), "found no prompt 'nothing'"),
    "prompt diff: prompt": (("prompt", "diff", "nothing", "1", "2"), "found no prompt 'nothing'"),
    "prompt new: name": (("prompt", "new", "BAD/NAME"), "BAD/NAME"),
    "prompt import: file": (("prompt", "import", "none.yaml"), "none.yaml"),
    "prompt evaluate: prompt": (("prompt", "evaluate", "nothing", "1"), "found no prompt"),
    "prompt evaluate: estimate": (
        ("prompt", "evaluate", "classify", "77", "--estimate"),
        "found no version 77",
    ),
    "demo: prompts and loop": (
        ("demo", "--prompts", "--loop", "worse"),
        "found --loop worse and --prompts; allowed: one of both",
    ),
    "demo: fault of a model": (
        ("demo", "--prompts", "--fault", "bias"),
        "allowed with --prompts: bad, budget, edited",
    ),
    "demo: fault of a prompt": (
        ("demo", "--fault", "budget"),
        "found --fault budget; allowed: only with --prompts",
    ),
    "prompt publish: version": (("prompt", "publish", "classify", "77"), "found no version 77"),
    "prompt prove-judge: judge": (("prompt", "prove-judge", "nobody"), "found no judge 'nobody'"),
    "prompt cases: request": (
        ("prompt", "cases", "classify", "accept", "nothing", "--by=Ada", "--reason=it is wrong"),
        "found 'nothing', no candidate; allowed: none waits",
    ),
    "prompt adopt-detector: name": (("prompt", "adopt-detector", "other"), "other"),
    "quarantine list: service": (("quarantine", "list", "nobody"), "no service 'nobody'"),
    "quarantine accept: service": (
        ("quarantine", "accept", "nobody", "abcd", *WHO),
        "no service 'nobody'",
    ),
    "quarantine accept: batch": (
        ("quarantine", "accept", "employment", "abcd", *WHO),
        "found batch 'abcd'; allowed: at least 4 characters",
    ),
    "quarantine drop: service": (
        ("quarantine", "drop", "nobody", "abcd", *WHO),
        "no service 'nobody'",
    ),
    "quarantine drop: blank": (
        ("quarantine", "drop", "employment", "abcd", "--by", " ", "--reason", "x"),
        "quarantine drop: found no name",
    ),
    "quarantine drop: batch": (("quarantine", "drop", "employment", "x", *WHO), "it is empty"),
    "schema: service": (("schema", "nobody"), "no service 'nobody'"),
    "schema: action": (("schema", "employment", "burn", "age"), "widen"),
    "serve: replica": (("serve", "--replica", "../x"), "--replica: found '../x'"),
    "deploy: file": (("deploy", "--file", "none.yaml"), "none.yaml"),
    "up: port": (("up", "--port", "70000"), "less than or equal to 65535"),
    "serve: port": (("serve", "--port", "70000"), "less than or equal to 65535"),
    "page: port": (("page", "--port", "-1"), "'--port'"),
    "init: kind": (("init", "f.csv", "--target", "y", "--kind", "magic"), "multiclass"),
    "expect: action": (("expect", "employment", "burn"), "remove"),
    "monitoring status: service": (("monitoring", "status", "nobody"), "employment"),
    "monitoring silence: service": (
        ("monitoring", "silence", "latency", "nobody", "--until", "4 h", *WHO),
        "no service 'nobody'",
    ),
    "monitoring unsilence: service": (
        ("monitoring", "unsilence", "latency", "nobody", *WHO),
        "no service 'nobody'",
    ),
    "monitoring export: service": (
        ("monitoring", "export", "nobody", "--to", "out"),
        "no service 'nobody'",
    ),
    "drift: service": (("drift", "nobody"), "no service or prompt 'nobody'; known: "),
    "drift: file of a prompt": (
        ("drift", "classify", "--file", "rows.parquet"),
        "--file: found 'rows.parquet'; 'classify' is a prompt",
    ),
    "profile: service": (("profile", "nobody"), "employment"),
    "demo: fault": (("demo", "--fault", "gremlins"), "leakage"),
    "demo: loop": (("demo", "--loop", "gremlins"), "concept"),
    "demo: two": (("demo", "--loop", "worse", "--fault", "bias"), "allowed: one of both"),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_bad_argument_is_refused_before_anything_starts(name: str, tmp_path: Path) -> None:
    arguments, said = BAD[name]
    ended = run_sluice(*arguments, home=tmp_path / "home", PREFECT_API_URL=NOWHERE, COLUMNS="200")
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert said in " ".join((ended.stdout + ended.stderr).split())
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "home").exists()


def test_every_command_with_arguments_has_a_bad_one_above() -> None:
    refused = {name for words, _ in BAD.values() for name in (words[0], " ".join(words[:2]))}
    for_services = {
        name
        for words, _ in BAD.values()
        if "nobody" in words
        for name in (words[0], " ".join(words[:2]))
    }
    for name, one in list_commands().items():
        options = {item.name for item in one.params} - {"help", "as_json"}
        assert not options or name in refused, name
        assert "service" not in options or name == "init" or name in for_services, name


CHILD = """
import sys
from cli.__main__ import main
try:
    main()
finally:
    print("prefect" if "prefect" in sys.modules else "no prefect", file=sys.stderr)
"""


@pytest.mark.slow  # each reads a registry
@pytest.mark.parametrize(
    "line",
    [
        ("status",),
        ("status", "--json"),
        ("show",),
        ("show", "employment"),
        ("history", "employment"),
        ("history", "employment", "--json"),
        ("history", "employment", "--served"),
        ("rollback", "employment", *WHO),
        ("restore", "employment", "1", *WHO),
        ("rollout-control", "employment", "pause", *WHO),
    ],
    ids=lambda line: " ".join(line[:3]),
)
def test_a_command_without_need_of_a_server_neither_starts_nor_imports_one(
    line: tuple[str, ...], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    add_registry_database(Home(home))
    environment = {"PATH": "", "HOME": str(tmp_path), "SLUICE_HOME": str(home)}
    ended = run_code(CHILD, line, environment, folder=PROJECT)
    assert ended.returncode in {0, 2}, ended.stderr
    printed = [line for line in ended.stderr.splitlines() if not line.startswith("  ")]
    assert printed == ["no prefect"], ended.stderr  # without what was waited for
    assert not (home / "prefect").exists()


def list_commands() -> dict[str, Any]:
    """Return every command by name, those of a group as `GROUP NAME`."""
    found = dict(getattr(typer.main.get_command(app), "commands", {}))
    for name in [name for name, one in found.items() if hasattr(one, "commands")]:
        inner = found.pop(name).commands
        found |= {f"{name} {each}": one for each, one in inner.items()}
    return found


def find_choices(annotation: Any) -> list[Any]:
    """Return the values of every closed set in an annotation."""
    inner = [value for part in get_args(annotation) for value in find_choices(part)]
    return list(get_args(annotation)) if get_origin(annotation) is Literal else inner


def test_no_choice_of_a_command_has_a_space() -> None:
    choices = {
        name: [
            value
            for hint in get_type_hints(one.callback, include_extras=True).values()
            for value in find_choices(hint)
        ]
        for name, one in list_commands().items()
    }
    closed = {name for name, values in choices.items() if values}
    assert closed == {
        "demo",
        "drift",
        "expect",
        "experiment decide",
        "init",
        "prompt cases",
        "release",
        "rollout-control",
        "schema",
        "score",
    }
    assert [value for values in choices.values() for value in values if " " in value] == []


def test_an_option_that_gives_a_reason_is_called_reason_everywhere() -> None:
    names = {
        option for one in list_commands().values() for item in one.params for option in item.opts
    }
    assert "--reason" in names
    assert names & {"--why", "--because", "--message", "--comment"} == set()


def test_rollout_control_offers_what_the_state_machine_knows() -> None:
    offered = get_args(get_args(ActionName)[0])
    assert offered == tuple(item.value for item in Action)


@pytest.mark.parametrize("command", ["", *sorted(list_commands())])
def test_h_is_help(command: str, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    if command == "replay":
        pytest.skip("its own process has the options")
    shown = CliRunner().invoke(app, [*command.split(), "-h"])
    assert shown.exit_code == 0
    assert "Usage: " in shown.stdout


def test_the_version_is_that_of_the_installed_distribution(tmp_path: Path) -> None:
    from importlib.metadata import version

    ended = run_sluice("--version", home=tmp_path)
    assert (ended.returncode, ended.stdout) == (0, f"sluice {version('sluice')}\n")


def test_every_command_stands_in_a_group() -> None:
    group = typer.main.get_command(app)
    panels = {
        getattr(one, "rich_help_panel", None) for one in getattr(group, "commands", {}).values()
    }
    assert panels == {
        "Data",
        "Release",
        "Prompts",
        "Rollout",
        "Experiments",
        "Try a policy",
        "Monitoring",
        "Show",
        "Run and deploy",
    }


def test_training_releases_all_files_of_a_service_in_one_process() -> None:
    recipe = (
        (PROJECT / "Makefile").read_text(encoding="utf-8").split("\ntrain:")[1].split("\n\n")[0]
    )
    assert recipe.count("$(BIN)/sluice") == 1, "each process would start a server of its own"
