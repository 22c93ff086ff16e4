"""Whatever its own description allows, and bytes that nobody allows: never a 5xx, never a hang."""

import hypothesis
import pytest
import schemathesis
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway_support import Running

pytestmark = pytest.mark.slow
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
SECONDS = 20.0


@pytest.fixture(scope="module")
def operations(gateway: Running) -> list[schemathesis.Case]:
    schema = schemathesis.openapi.from_url(f"{gateway.address}/openapi.json")
    return [found.ok() for found in schema.get_all_operations()]


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_everything_that_its_description_allows_or_forbids_gets_a_described_answer(
    operations: list[schemathesis.Case], mode: schemathesis.GenerationMode
) -> None:
    tried = [item for item in operations if "fails" not in item.path]
    assert any(item.path.endswith(":predict") for item in tried)
    for operation in tried:

        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        @hypothesis.settings(max_examples=40, deadline=None, database=None, derandomize=True)
        def ask(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=CHECKS, timeout=SECONDS)

        ask()
