"""MLflow sends no telemetry: not from our processes, nor from its pages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sluice.adapters.server.parts import QUIET, describe_stores
from sluice.home import Home

CODE = """
from sluice.adapters.registry.faults import import_mlflow
import_mlflow()
from mlflow.telemetry.client import get_telemetry_client
from mlflow.telemetry.utils import is_telemetry_disabled
print(is_telemetry_disabled(), get_telemetry_client())
"""
CLEAN = {
    key: value
    for key, value in os.environ.items()
    if not key.startswith(("MLFLOW_", "DO_NOT_TRACK", "PREFECT_"))
}


def run(code: str, **variables: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**CLEAN, **variables},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_process_that_uses_the_registry_sends_none() -> None:
    assert run(CODE) == "True None"


@pytest.mark.slow
def test_pages_neither_send_it_nor_let_the_browser_send_it(tmp_path: Path) -> None:
    code = (
        "from mlflow.server.handlers import get_ui_telemetry_handler\n"
        "from mlflow.server import app\n"
        "with app.test_request_context():\n"
        "    print(get_ui_telemetry_handler().json['disable_ui_telemetry'])\n"
    )
    assert run(code, **QUIET, **describe_stores(Home(tmp_path))) == "True"


def test_stores_are_named_as_the_pages_look_for_them(tmp_path: Path) -> None:
    code = (
        "from mlflow.server import constants as names\n"
        "print(names.BACKEND_STORE_URI_ENV_VAR, names.REGISTRY_STORE_URI_ENV_VAR,"
        " names.ARTIFACT_ROOT_ENV_VAR)\n"
    )
    assert set(run(code, **QUIET).split()) <= set(describe_stores(Home(tmp_path)))
