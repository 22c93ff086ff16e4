"""The `curl` lines of docs/serving.md, sent to a real gateway, get what the page shows."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sluice.config.loading import load_service
from sluice.home import PROJECT, SAMPLES
from sluice.models.training import fit_model
from support.gateway.models import describe_model, write_model_files
from support.gateway.site import Site, run_gateway

pytestmark = pytest.mark.slow
PAGE = (PROJECT / "docs" / "serving.md").read_text(encoding="utf-8")
LINE = re.compile(r"^\$ (curl .*)\n(.*)$", re.MULTILINE)


def shape(value: Any) -> Any:
    """Keep everything except measured numbers and the stamps of worker runs and stores."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, str):
        value = re.sub(r"^[0-9a-f]{32}$", "IDENTITY", value)
        return re.sub(r"^w\d+@\d+$", "wN@STAMP", value)
    return type(value) if isinstance(value, float) else value


def test_the_curl_lines_of_the_page_get_what_it_shows(tmp_path: Path) -> None:
    service = load_service("employment", "development")
    rows = pd.read_parquet(SAMPLES / "acs_employment_2015.parquet")
    training, held_out = rows.head(4000), rows.tail(200)
    pipeline = fit_model("binary", service.model, service.data, training, training["employed"])
    folder = write_model_files(tmp_path / "model", pipeline, held_out, service.data, "binary")
    site = Site(tmp_path)
    site.keep(describe_model(service.data, "binary", service="employment"), folder)
    site.route("employment")
    found = LINE.findall(PAGE)
    assert len(found) == 4
    with run_gateway(site) as gateway:
        for command, shown in found:
            line = command.replace("http://127.0.0.1:8080", gateway.address)
            done = subprocess.run(
                ["bash", "-c", line], capture_output=True, text=True, timeout=60, check=True
            )
            assert shape(json.loads(done.stdout)) == shape(json.loads(shown)), done.stdout
