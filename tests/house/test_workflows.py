"""The workflows are what GitHub takes, call what exists, and can do no more than they must."""

import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

import pytest
import yaml

from sluice.config.loading import OVERLAYS, hash_service, list_services, load_service
from sluice.prompts.listing import list_prompts

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / ".github" / "workflows" / "release.yml"
WORKFLOW: dict[Any, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
TRIGGERS = WORKFLOW[True]  # YAML 1.1 reads `on` as a boolean
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
STEPS = [step for job in JOBS.values() for step in job["steps"]]
SCRIPTS = [step["run"] for step in STEPS if "run" in step]
SERVICES = ["arrivals", "earnings", "employment", "injection"]


def find_tool(name: str) -> str:
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    assert found, f"{name} is a development dependency"
    return found


def run(*command: str, text: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, input=text, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def chooser() -> ModuleType:
    """The script that names the changed services."""
    spec = importlib.util.spec_from_file_location(
        "changed_services", ROOT / ".github" / "changed_services.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_github_would_take_the_file() -> None:
    tool = find_tool("check-jsonschema")
    done = run(tool, "--builtin-schema", "vendor.github-workflows", str(FILE))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_shell_lines_are_sound(script: str) -> None:
    done = run(find_tool("shellcheck"), "--shell=bash", "-", text=script + "\n")
    assert done.returncode == 0, done.stdout


def test_make_targets_exist() -> None:
    used = set(re.findall(r"make ([a-z-]+)", "\n".join(SCRIPTS)))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    tests = {"test", "test-faults", "test-stories", "test-browser"}
    assert used == {*tests, "train", "release-prompt", "deploy"}
    assert used <= targets


def test_every_path_that_triggers_exists() -> None:
    assert TRIGGERS["push"]["paths"] == TRIGGERS["pull_request"]["paths"]
    paths = [path.removesuffix("/**") for path in TRIGGERS["push"]["paths"]]
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert {"data", "configs", "prompts", "gx", "sluice", "tasks", "flows"} <= set(paths)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    rooms = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {"cli", "serving"} <= set(rooms)
    assert [room for room in rooms if f"{room}/**" not in TRIGGERS["push"]["paths"]] == []


def test_it_can_read_and_nothing_else() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert not [name for name, job in JOBS.items() if "permissions" in job]
    checkouts = [step for step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) == len(JOBS)
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_only_githubs_own_actions_run_each_at_a_version() -> None:
    for step in STEPS:
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@(v\d+|[0-9a-f]{40})", step["uses"])


def test_every_job_has_a_time_limit() -> None:
    assert all(job["timeout-minutes"] <= 120 for job in JOBS.values())


def test_scripts_take_nothing_from_outside_but_by_the_environment() -> None:
    assert not [script for script in SCRIPTS if "${{" in script]


def test_deploy_waits_for_test_and_train_on_main() -> None:
    assert JOBS["train"]["needs"] == "test"
    assert JOBS["prompts"]["needs"] == "test"
    assert JOBS["deploy"]["needs"] == ["test", "faults", "browser", "train", "prompts"]
    condition = JOBS["deploy"]["if"]
    for part in ("github.ref == 'refs/heads/main'", "github.event_name == 'push'"):
        assert part in condition
    assert "needs.test.result == 'success'" in condition
    assert "needs.faults.result == 'success'" in condition
    assert "needs.browser.result == 'success'" in condition
    assert "needs.train.result == 'success'" in condition
    assert "needs.prompts.result == 'success'" in condition


def test_long_faults_run_after_the_suite() -> None:
    assert JOBS["faults"]["needs"] == "test"
    assert [step["run"] for step in JOBS["faults"]["steps"] if "run" in step] == [
        "make test-faults"
    ]


def test_a_pull_request_sees_no_secret() -> None:
    for step in STEPS:
        if "secrets." in str(step):
            guarded = "github.event_name == 'push'" in step.get("if", "")
            assert guarded or step in JOBS["deploy"]["steps"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["data/acs_employment_2018.parquet"], ["employment"]),
        (["configs/earnings.yaml", "gx/expectations/arrivals.json"], ["arrivals", "earnings"]),
        (["docs/examples/arrivals.py"], ["arrivals"]),
        (["data/earnings/part-1.parquet"], ["earnings"]),
        (["configs/production.yaml"], SERVICES),
        (["sluice/metrics.py"], SERVICES),
        (["requirements.lock"], SERVICES),
        (["cli/release.py"], SERVICES),
        (["configs/llm/providers.yaml"], SERVICES),
        (["configs/gateway/gateway.yaml", "configs/gateway/development.yaml"], []),
        (["configs/policies/standard.yaml", "configs/policies/employment.yaml"], []),
        (["configs/policies/standard.yaml", "configs/arrivals.yaml"], ["arrivals"]),
        (["serving/http/app.py"], []),
        (["prompts/README.md", "docs/gates.md", "tests/conftest.py", "README.md"], []),
        ([], []),
    ],
)
def test_changed_services_are_found(
    chooser: ModuleType, files: list[str], expected: list[str]
) -> None:
    assert chooser.find_changed([PurePosixPath(name) for name in files], SERVICES) == expected


TREE = [
    PurePosixPath(f"prompts/{name}")
    for name in (
        "README.md",
        "config.yaml",
        "classify/v1.yaml",
        "classify/v2.yaml",
        "classify/eval_set.jsonl",
        "summarize/v10.yaml",
        "summarize/limits.yaml",
        "judges/refusal/v1.yaml",
        "notes/words.txt",
    )
]
ALL_WISHED = [("classify", ""), ("summarize", "")]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["prompts/classify/v2.yaml"], [("classify", "2")]),
        (["prompts/classify/eval_set.jsonl"], [("classify", "")]),
        (["prompts/summarize/limits.yaml", "prompts/summarize/v10.yaml"],
         [("summarize", ""), ("summarize", "10")]),
        (["prompts/config.yaml"], ALL_WISHED),
        (["prompts/judges/refusal/v1.yaml"], ALL_WISHED),
        (["configs/llm/providers.yaml"], ALL_WISHED),
        (["prompts/classify/v3.yaml"], [("classify", "")]),  # removed
        (["prompts/gone/v1.yaml", "prompts/README.md", "prompts/notes/words.txt"], []),
        (["sluice/metrics.py", "configs/employment.yaml", "README.md", "prompts"], []),
        ([], []),
    ],
)  # fmt: skip
def test_changed_prompts_are_found(
    chooser: ModuleType, files: list[str], expected: list[tuple[str, str]]
) -> None:
    found = chooser.find_changed_prompts([PurePosixPath(name) for name in files], TREE)
    assert [(item["prompt"], item["version"]) for item in found] == expected


def test_a_new_branch_has_every_prompt_as_it_is_wished(chooser: ModuleType) -> None:
    found = chooser.find_changed_prompts(TREE, TREE, new=True)
    assert [(item["prompt"], item["version"]) for item in found] == ALL_WISHED


def test_the_script_names_the_prompts_that_the_command_line_has(
    chooser: ModuleType, tmp_path: Path
) -> None:
    files = [PurePosixPath("prompts") / path for path in list_paths(ROOT / "prompts")]
    assert chooser.find_prompts(files) == list_prompts()
    for name in (
        "a/v1.yaml",
        ".old/v1.yaml",
        "b/v0.yaml",
        "c/v1.yml",
        "judges/v1.yaml",
        "d/e/v1.yaml",
        "v1.yaml",
    ):
        path = tmp_path / "prompts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert chooser.find_prompts(list_paths(tmp_path)) == list_prompts(tmp_path / "prompts") == ["a"]


def print_release(**given: str) -> str:
    """Return the command that `make release-prompt` would run, without its folder."""
    values = [f"{name}={value}" for name, value in given.items()]
    done = run(
        "make", "--no-print-directory", "-n", "-o", ".venv/.installed", "release-prompt", *values
    )
    assert done.returncode == 0, done.stderr
    line = " ".join(done.stdout.replace("\\\n", " ").split())
    return line.partition("/sluice ")[2]


def test_prompts_run_as_make_says_and_leave_a_summary() -> None:
    """What the job types is what the Makefile turns into a command that exists."""
    steps = JOBS["prompts"]["steps"]
    [line] = [step["run"] for step in steps if "make release-prompt" in step.get("run", "")]
    names = re.findall(r"([A-Z]+)=", line)
    assert names == ["PROMPT", "VERSION", "PUBLISH", "CAUSE", "KEY", "SUMMARY"]
    given = dict.fromkeys(names, "") | {"PROMPT": "classify", "KEY": "optional", "SUMMARY": "v.md"}
    assert print_release(**given) == ('prompt evaluate "classify" --summary "v.md" --key-optional')
    given |= {"PUBLISH": "1", "CAUSE": "prompt.changed"}
    assert print_release(**given) == (
        'prompt publish "classify" --cause "prompt.changed" --summary "v.md" --key-optional'
    )
    assert print_release(PROMPT="classify", VERSION="2") == 'prompt evaluate "classify" 2'
    shown = [step["run"] for step in steps if "GITHUB_STEP_SUMMARY" in step.get("run", "")]
    assert shown == ['test ! -f verdict.md || cat verdict.md >> "$GITHUB_STEP_SUMMARY"']


def test_services_are_those_of_the_configs_folder(chooser: ModuleType) -> None:
    listed = chooser.find_services(
        [PurePosixPath("configs") / path.name for path in (ROOT / "configs").iterdir()]
    )
    assert listed == SERVICES


def list_paths(root: Path) -> list[PurePosixPath]:
    """Give every file below a root as git names it."""
    found = sorted(path for path in root.rglob("*") if path.is_file())
    return [PurePosixPath(path.relative_to(root).as_posix()) for path in found]


def test_the_script_names_the_services_that_the_command_line_has(chooser: ModuleType) -> None:
    files = [PurePosixPath("configs") / path for path in list_paths(ROOT / "configs")]
    assert PurePosixPath("configs/gateway/gateway.yaml") in files
    assert PurePosixPath("configs/policies/standard.yaml") in files
    assert chooser.find_services(files) == list_services() == SERVICES
    assert set(OVERLAYS) == chooser.OVERLAYS


def test_files_in_folders_of_configs_are_no_services(chooser: ModuleType, tmp_path: Path) -> None:
    names = [
        "churn.yaml",
        "basket.yaml",
        "notes.yml",
        "README.md",
        *map("{}.yaml".format, OVERLAYS),
    ]
    nested = ["gateway/gateway.yaml", "policies/slow.yaml", "policies/old/first.yaml"]
    for name in (*names, *nested, "other/configs/wrong.yaml"):
        path = tmp_path / "configs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "churn.yaml").touch()
    listed = list_services(tmp_path / "configs")
    assert chooser.find_services(list_paths(tmp_path)) == listed == ["basket", "churn"]


def test_a_policy_is_no_part_of_a_release(tmp_path: Path) -> None:
    """A release's hash has the policy's name; what the policy says is the rollout's."""
    configs = tmp_path / "configs"
    shutil.copytree(ROOT / "configs", configs)
    before = hash_service(load_service("employment", "development", configs))
    for path in (*(configs / "policies").iterdir(), *(configs / "gateway").iterdir()):
        path.write_text("changed: true")
    assert hash_service(load_service("employment", "development", configs)) == before
