"""The deployment of `release_prompt`: its form, its trigger, its page."""

from typing import Any

import pytest

from sluice.config.deployments import Deployment, read_deployments
from sluice.home import PROJECT
from sluice.prompts.listing import list_prompts
from tasks.deploy.pages import describe_pages


@pytest.fixture(scope="module")
def deployment() -> Deployment:
    found = read_deployments(PROJECT / "deployments.yaml").deployments
    return next(item for item in found if item.name == "release-prompt")


@pytest.fixture(scope="module")
def form() -> dict[str, Any]:
    from prefect.utilities.callables import parameter_schema

    from flows.prompts.release_prompt import release_prompt

    return parameter_schema(release_prompt).model_dump_for_openapi()


def test_the_form_offers_the_prompts_and_explains_every_field(form: dict[str, Any]) -> None:
    properties = form["properties"]
    assert set(properties) == {"prompt", "version", "publish", "cause"}
    assert form["required"] == ["prompt", "version"]
    assert properties["prompt"]["enum"] == list_prompts() != []
    assert (properties["version"]["type"], properties["version"]["minimum"]) == ("integer", 1)
    assert all(value["description"] for value in properties.values())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prompt": "nobody"}, "'nobody' is not one of"),
        ({"version": 0}, "0 is less than the minimum of 1"),
        ({"version": "newest"}, "'newest' is not of type 'integer'"),
        ({"publish": "maybe"}, "'maybe' is not of type 'boolean'"),
    ],
)
def test_a_wrong_value_is_refused_by_the_form(
    form: dict[str, Any], changes: dict[str, Any], said: str
) -> None:
    from prefect.utilities.schema_tools.validation import validate

    given = {"prompt": list_prompts()[0], "version": 1, **changes}
    assert [said in error.message for error in validate(given, form)] == [True]


def test_each_change_starts_one_run_that_names_its_cause(deployment: Deployment) -> None:
    (trigger,) = deployment.triggers
    assert trigger.expect == ["prompt.changed"]
    assert trigger.for_each == ["prefect.resource.id", "sluice.version", "sluice.subject"]
    assert trigger.parameters["cause"] == "prompt.changed"
    assert set(deployment.tags) == {"sluice", "release", "prompt"}
    assert deployment.concurrency_limit is not None
    assert deployment.concurrency_limit.collision_strategy == "ENQUEUE"


def test_its_page_links_to_the_reports_of_each_prompt() -> None:
    page = describe_pages("release_prompt")
    for name in list_prompts():
        assert f"- {name}: [reports](/artifacts?name={name}-prompt)" in page
    assert "(/artifacts?name=prompts)" in describe_pages("watch")
