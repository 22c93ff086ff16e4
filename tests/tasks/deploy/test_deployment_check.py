"""A deployments file is checked against the flows before it goes to a server."""

from pathlib import Path

import pytest

from sluice.config.deployments import read_deployments
from sluice.errors import ConfigInvalid
from sluice.home import PROJECT
from tasks.deploy.deployments import check_flows

SHIPPED = PROJECT / "deployments.yaml"


def refuse(tmp_path: Path, old: str, new: str) -> str:
    text = SHIPPED.read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "deployments.yaml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigInvalid) as refused:
        check_flows(file, read_deployments(file))
    said = str(refused.value)
    line = text.replace(old, new, 1)[: text.index(old)].count("\n") + 1
    assert said.startswith(f"{file}:{line}: "), said
    return said.partition(": ")[2]


def test_shipped_file_names_its_deployments() -> None:
    names = check_flows(SHIPPED, read_deployments(SHIPPED))
    assert names[:3] == ["release/release", "ingest/ingest", "watch/watch"]


@pytest.mark.parametrize(
    ("entrypoint", "said"),
    [
        ("flows.relase.release", "No module named 'flows.relase'"),
        ("flows.release.relase", "there is no flow at 'flows.release.relase'"),
        ("flows.release.load_service", "there is no flow at 'flows.release.load_service'"),
        ("release", "found 'release'"),
    ],
)
def test_entrypoint_that_is_no_flow_is_refused(tmp_path: Path, entrypoint: str, said: str) -> None:
    found = refuse(tmp_path, "entrypoint: flows.release.release", f"entrypoint: {entrypoint}")
    assert found.startswith("deployments.0.entrypoint: ")
    assert said in found
    assert found.endswith("allowed: the module path of a flow, such as flows.release.release")


def test_service_that_is_not_configured_is_refused_with_those_that_are(tmp_path: Path) -> None:
    found = refuse(tmp_path, "{service: employment,", "{service: unemployment,")
    assert found.startswith("deployments.0.schedules.0.parameters.service: 'unemployment' is not")
    assert "'employment'" in found


def test_parameter_that_the_flow_does_not_have_is_refused(tmp_path: Path) -> None:
    found = refuse(tmp_path, "cause: data.changed", "reason: data.changed")
    assert found == (
        "deployments.0.triggers.0.parameters.reason: the flow has no such parameter; "
        "allowed: service, data_version, overrides, cause"
    )


def test_value_out_of_range_is_refused(tmp_path: Path) -> None:
    found = refuse(tmp_path, "cause: weekly}", "data_version: -2}")
    assert "-2 is less than the minimum of -1" in found


def test_run_that_would_lack_a_parameter_is_refused(tmp_path: Path) -> None:
    found = refuse(tmp_path, "{service: employment, cause: weekly}", "{cause: weekly}")
    assert "the flow needs service, which nothing sets" in found


def test_cron_that_is_none_is_refused_with_one_that_is(tmp_path: Path) -> None:
    found = refuse(tmp_path, 'cron: "0 3 * * 1"', 'cron: "every monday"')
    assert found.startswith("deployments.0.schedules.0.cron: ")
    assert "every monday" in found
    assert 'allowed: such as "0 3 * * 1"' in found


def test_unknown_timezone_is_refused(tmp_path: Path) -> None:
    found = refuse(tmp_path, "timezone: UTC", "timezone: Europe/Atlantis")
    assert found.startswith("deployments.0.schedules.0.timezone: ")


def test_template_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    found = refuse(tmp_path, "{{ event.payload.version |", "{{ event.payload.version ||")
    assert found.startswith("deployments.0.triggers.0.parameters.data_version: not readable")


def test_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    lines = ["name: release", "entrypoint: flows.release.release"]
    lines += ["work_pool: {name: sluice}", "tags: [sluice]"]
    entry = "  - " + "\n    ".join(lines)
    found = refuse(tmp_path, "  - name: ingest\n", f"{entry}\n  - name: ingest\n")
    assert found == "deployments.1.name: 'release/release' is deployed above already"


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        (
            "work_pool: *pool",
            "work_pool: {name: sluice, job_variables: {command: sh}}",
            "deployments.0.work_pool.job_variables: found command; allowed: none",
        ),
        (
            "within: 60",
            "job_variables: {env: {A: b}}",
            "deployments.0.triggers.0.job_variables: found env; allowed: none",
        ),
    ],
)
def test_variable_that_no_run_of_our_pool_sets_is_refused(
    tmp_path: Path, old: str, new: str, place: str
) -> None:
    found = refuse(tmp_path, old, new)
    assert found.startswith(place)
    assert found.endswith("next: set them where the worker starts, or name another pool")
