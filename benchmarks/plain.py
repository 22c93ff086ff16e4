"""The release as a plain script would do it: the same library calls, no orchestrator.

It reads each data version once and keeps rows and model in memory; a flow's tasks hand over
references and read anew. So what the flow takes longer is all of it the price of orchestration.
"""

import hashlib
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sluice.adapters.machine import read_code_version, read_environment
from sluice.adapters.registry.client import Registry, open_registry
from sluice.adapters.registry.model_files import load_model, load_serving, save_model, save_serving
from sluice.adapters.registry.versions import ModelVersionRef
from sluice.adapters.tables.delta import latest_version, read_version
from sluice.adapters.validation.expectations import measure_data
from sluice.config.data import SplitConfig
from sluice.config.loading import dump_service, load_service
from sluice.config.service import ServiceConfig
from sluice.data.split import comparison_mask, split_rows
from sluice.data.version import DataVersion
from sluice.gates.bias import BiasGate, measure_bias
from sluice.gates.data import DataGate
from sluice.gates.evaluation import EvaluationGate, Holdout, measure_evaluation
from sluice.gates.parity import ParityGate, choose_form, measure_parity
from sluice.home import LOCK, PROJECT, Home
from sluice.identity import ReleaseIdentity
from sluice.models.export.form import build_onnx_export, take_columns
from sluice.models.importance import measure_importance
from sluice.models.prediction import predict
from sluice.models.training import find_threshold, fit_model
from sluice.plots.evaluation import draw_evaluation
from sluice.plots.forest import draw_fairness
from sluice.plots.style import render_png
from sluice.report.card import write_card
from sluice.report.figures import name_bias_figures, name_evaluation_figures
from sluice.verdict import Verdict


@dataclass
class Script:
    """One plain release: where it works, what it knows so far, seconds a step."""

    home: Home
    config: ServiceConfig
    registry: Registry
    run_id: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step, under the name of the flow's task that does the same."""
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started


def release_plainly(home: Home, service: str) -> dict[str, float]:
    """Release the service's newest data version; give the seconds of each step."""
    config = load_service(service, "development")
    script = Script(home, config, open_registry(home))
    uri = home.table(service)
    with script.step("open release"):
        version = latest_version(uri, service)
        table, data = read_version(uri, service, version, config.data.id)
        champion = script.registry.find_alias(service, "champion")
        assert champion is not None
        identity = _open_run(script, data)
    with script.step("weigh data"):
        before, _ = read_version(uri, service, champion.data_version, config.data.id)
        verdicts = [_weigh_data(script, table, before)]
    with script.step("divide rows"):
        frame = table.to_pandas()
        split = split_rows(frame, config.data, config.split)
        then = SplitConfig.model_validate_json(champion.tags["sluice.split"])
        old = before.to_pandas()
        trained = old.loc[split_rows(old, config.data, then).training, config.data.id].to_numpy()
        mask = comparison_mask(split, frame[config.data.id].to_numpy(), trained)
        training = frame[split.training].reset_index(drop=True)
        compared = frame[mask].reset_index(drop=True)
    folder = home.workspace(script.run_id)
    folder.mkdir(parents=True)
    with script.step("train candidate"):
        pipeline = _train(script, training, folder / "model.skops")
    holdout = Holdout(y=compared[config.data.target].to_numpy(), frame=compared)
    with script.step("weigh candidate"):
        candidate = predict(pipeline, compared, config.data, config.problem)
        verdicts += [_weigh_candidate(script, pipeline, holdout, candidate, champion)]
    with script.step("weigh bias"):
        verdicts += [_weigh_bias(script, holdout, candidate)]
    with script.step("build served form"):
        save_serving(build_onnx_export(pipeline, config.data), folder / "serving")
    with script.step("weigh parity"):
        verdicts += [_weigh_parity(script, holdout, candidate, folder / "serving")]
    with script.step("register candidate"):
        _register(script, identity, verdicts, pipeline, training, len(compared))
    with script.step("close release"):
        script.registry.end_run(script.run_id, "FINISHED")
        shutil.rmtree(folder)
    return script.seconds


def _open_run(script: Script, data: DataVersion) -> ReleaseIdentity:
    config, registry = script.config, script.registry
    identity = ReleaseIdentity(
        service=config.service,
        data=data,
        code=read_code_version(PROJECT),
        config_hash=hashlib.sha256(dump_service(config).encode()).hexdigest(),
        environment=read_environment(LOCK),
    )
    script.run_id = registry.start_run(config.service, "plain script", identity.tags())
    registry.log_text(script.run_id, "config.yaml", dump_service(config))
    registry.log_data_input(script.run_id, data, "training")
    return identity


def _weigh_data(script: Script, table: Any, before: Any) -> Verdict:
    evidence = measure_data(script.config, table, before, script.run_id)
    verdict = _record(script, DataGate(script.config.data).judge(evidence))
    page = "data_docs/validation.html"
    if evidence.page is not None:
        script.registry.log_bytes(script.run_id, page, evidence.page.read_bytes())
    return verdict


def _train(script: Script, training: Any, path: Path) -> Any:
    config = script.config
    target = training[config.data.target]
    started = time.perf_counter()
    pipeline = fit_model(config.problem, config.model, config.data, training, target)
    seconds = time.perf_counter() - started
    save_model(pipeline, path)
    params = {f"model.{key}": str(value) for key, value in config.model.model_dump().items()}
    metrics = {"training.rows": len(training), "training.seconds": seconds}
    script.registry.log_facts(script.run_id, params=params, metrics=metrics)
    return load_model(path)


def _weigh_candidate(
    script: Script, pipeline: Any, holdout: Holdout, candidate: Any, champion: ModelVersionRef
) -> Verdict:
    config = script.config
    loaded = script.registry.load_model(champion)
    against = predict(loaded, holdout.frame, config.data, config.problem)
    evidence = measure_evaluation(
        config.evaluation,
        config.problem,
        config.data.positive,
        holdout,
        candidate,
        against,
        threshold=find_threshold(pipeline),
    )
    verdict = _record(script, EvaluationGate(config.evaluation).judge(evidence))
    _record_evidence(script, "evaluation", evidence, name_evaluation_figures(evidence))
    seed = config.evaluation.seed
    importance = measure_importance(pipeline, holdout.frame, config.data, seed=seed)
    _record_figures(
        script, draw_evaluation(config, holdout, candidate, against, evidence, importance)
    )
    return verdict


def _weigh_bias(script: Script, holdout: Holdout, candidate: Any) -> Verdict:
    config = script.config
    favourable = config.data.positive if config.bias.favourable is None else config.bias.favourable
    evidence = measure_bias(config.bias, config.problem, favourable, holdout, candidate)
    verdict = _record(script, BiasGate(config.bias).judge(evidence))
    _record_evidence(script, "bias", evidence, name_bias_figures(evidence))
    _record_figures(script, draw_fairness(config.bias, evidence))
    return verdict


def _weigh_parity(script: Script, holdout: Holdout, candidate: Any, folder: Path) -> Verdict:
    config = script.config
    served = load_serving(folder).predict(take_columns(holdout.frame, config.data))
    evidence = measure_parity(candidate, served)
    verdict = _record(script, ParityGate(config.serving).judge(evidence))
    script.registry.log_json(script.run_id, "evidence/parity.json", evidence.to_dict())
    return verdict


def _register(
    script: Script,
    identity: ReleaseIdentity,
    verdicts: list[Verdict],
    pipeline: Any,
    training: Any,
    compared: int,
) -> None:
    config = script.config
    example = training[list(config.data.features)].head(5)
    card = write_card(
        config,
        identity,
        tuple(verdicts),
        len(training),
        compared,
        threshold=find_threshold(pipeline),
    )
    script.registry.log_text(script.run_id, "model_card.md", card)
    tags = {
        **identity.tags(),
        **{f"sluice.verdict.{item.gate}": item.outcome.value for item in verdicts},
        "sluice.split": config.split.model_dump_json(),
        "sluice.serving.form": choose_form(verdicts[-1]),
    }
    answers = predict(pipeline, example, config.data, config.problem)
    script.registry.register_model(
        script.run_id,
        config.service,
        pipeline,
        example,
        answers.labels,
        tags,
        card,
        serving=script.home.workspace(script.run_id) / "serving",
    )


def _record(script: Script, verdict: Verdict) -> Verdict:
    """Keep a verdict and stop where it is not `pass`."""
    registry, name = script.registry, f"sluice.verdict.{verdict.gate}"
    registry.log_json(script.run_id, f"verdicts/{verdict.gate}.json", verdict.to_dict())
    registry.log_facts(script.run_id, tags={name: verdict.outcome.value})
    if not verdict.passed:
        raise RuntimeError(verdict.message)
    return verdict


def _record_evidence(script: Script, gate: str, evidence: Any, metrics: dict[str, float]) -> None:
    script.registry.log_facts(script.run_id, metrics=metrics)
    script.registry.log_json(script.run_id, f"evidence/{gate}.json", evidence.to_dict())


def _record_figures(script: Script, figures: dict[str, Any]) -> None:
    for name, figure in figures.items():
        script.registry.log_bytes(script.run_id, f"plots/{name}.png", render_png(figure))
