"""A version that is faulty as a model, in the registry beside the healthy ones.

    python -m demo.faulty SERVICE FAULT [--share .3] [--milliseconds 20] [--seed 1]

It is the champion with a fault written into its graph, carries the champion's verdicts as if its
gates had seen nothing, and becomes the service's candidate like any other version.
"""

import argparse
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from demo.faulty_graph import KINDS, ModelFault, mark_rows, plant_fault
from demo.held_out import read_frame
from flows.terminal import exit_code, say
from sluice.adapters.registry.client import ModelVersionRef, Registry, open_registry
from sluice.config.loading import load_service
from sluice.config.service import ServiceConfig
from sluice.errors import DataMissing, Refused, SluiceError
from sluice.home import find_home

if TYPE_CHECKING:
    import pandas as pd

    from sluice.adapters.registry.onnx_model import ServedModel

FORM_TAG, FAULT_TAG = "sluice.serving.form", "sluice.fault"
CARRIED = ("sluice.verdict.", "sluice.data.", "sluice.serving.")
"""Tags that the version takes over from the one that it was."""
EXAMPLES = 3


def register_faulty(
    registry: Registry,
    config: ServiceConfig,
    rows: "pd.DataFrame",
    fault: ModelFault,
    alias: Literal["champion", "candidate"] = "champion",
) -> ModelVersionRef:
    """Register the champion, or the candidate, with a fault in its graph as the next version.

    `rows` are held-out ones. Those that the fault leaves alone become its parity sample: the
    version loads and is proved like any other, as a model does whose tests never met the fault.

    Raises:
        DataMissing: there is no version of that alias.
        Refused: it has no graph to write a fault into.
        RegistryUnavailable: the registry or its files cannot be reached.
    """
    origin = registry.find_alias(config.service, alias)
    if origin is None:
        raise DataMissing(f"{config.service} has no {alias}; next: release it first")
    if origin.tags.get(FORM_TAG) != "onnx":
        raise Refused(f"{origin.uri} serves without a graph; a fault is written into graphs only")
    healthy = registry.load_serving(origin)
    faulty = _write_fault(healthy, fault)
    sample = _make_sample(faulty, rows, config, fault)
    example = rows[list(config.data.features)].head(EXAMPLES)
    pipeline = registry.load_model(origin)
    name = f"{config.service} v{origin.version} with {fault.kind}"
    run_id = registry.start_run(config.service, name, {FAULT_TAG: fault.kind})
    registry.log_text(run_id, "config.yaml", registry.read_text(origin.run_id, "config.yaml"))
    registry.log_json(run_id, "fault.json", asdict(fault))
    tags = {key: value for key, value in origin.tags.items() if key.startswith(CARRIED)}
    with tempfile.TemporaryDirectory() as work:
        version = registry.register_model(
            run_id,
            config.service,
            pipeline,
            example,
            healthy.predict(_take(rows.head(EXAMPLES), config)).labels,
            {**tags, FAULT_TAG: fault.kind},
            f"The {alias}, with {fault.kind} on {fault.share:.0%} of rows. Made to be caught.",
            serving=_save(faulty, Path(work)),
            texts=sample,
        )
    registry.end_run(run_id)
    return version


def _write_fault(healthy: "ServedModel", fault: ModelFault) -> "ServedModel":
    from sluice.adapters.registry.onnx_model import ServedModel

    return ServedModel(replace(healthy.form, graph=plant_fault(healthy.form.graph, fault)))


def _save(served: "ServedModel", folder: Path) -> Path:
    from sluice.adapters.registry.onnx_model import save_serving

    save_serving(served.form, folder / "serving")
    return folder / "serving"


def _make_sample(
    faulty: "ServedModel", rows: "pd.DataFrame", config: ServiceConfig, fault: ModelFault
) -> dict[str, str]:
    """Give the parity sample's file; none where the fault leaves no row alone."""
    from sluice.models.serving.sample import SAMPLE_FILE, choose_rows, make_sample

    marked = mark_rows(faulty.form.preprocessing.encode(_take(rows, config)), fault)
    chosen = choose_rows(rows[~marked])
    if chosen.empty:
        return {}
    sample = make_sample(chosen, faulty.predict(_take(chosen, config)), config.data)
    return {SAMPLE_FILE: sample.to_json()}


def _take(rows: "pd.DataFrame", config: ServiceConfig) -> Any:
    from sluice.models.serving.form import take_columns

    return take_columns(rows, config.data)


def main() -> int:
    """Parse the command line and register the faulty version."""
    parser = argparse.ArgumentParser(prog="python -m demo.faulty", description=__doc__)
    parser.add_argument("service")
    parser.add_argument("fault", choices=KINDS)
    parser.add_argument("--share", type=float, default=1.0, help="of rows that meet the fault")
    parser.add_argument("--seed", type=int, default=1, help="which rows these are")
    parser.add_argument("--milliseconds", type=float, default=20.0, help="of latency, a call")
    asked = parser.parse_args()
    try:
        fault = ModelFault(asked.fault, asked.share, asked.seed, asked.milliseconds)
    except ValueError as error:
        parser.error(str(error))
    try:
        home, config = find_home(), load_service(asked.service, "development")
        rows = read_frame(home, config)
        version = register_faulty(open_registry(home), config, rows, fault)
    except SluiceError as error:
        say(f"{type(error).__name__}: {error}")
        return exit_code(type(error).__name__)
    alias = ", ".join(version.aliases) or "no alias"
    say(f"{version.uri} ({alias}): {fault.kind} on {fault.share:.0%} of rows, seed {fault.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
