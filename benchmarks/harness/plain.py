"""A release as a plain script: the flow's library calls, without an orchestrator.

It reads each data version once and keeps rows and model in memory; the tasks of a flow pass
references and read again. All the time that the flow takes longer is the cost of orchestration.
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
from sluice.adapters.registry.model_files import load_export, load_model, save_export, save_model
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
from sluice.gates.parity import ParityGate, choose_backend, measure_parity
from sluice.home import LOCK, PROJECT, Home
from sluice.identity import ReleaseIdentity
from sluice.models.export.onnx_export import build_onnx_export, take_columns
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
class PlainRelease:
    """One release by the plain script: its settings, and the seconds of each step."""

    home: Home
    config: ServiceConfig
    registry: Registry
    run_id: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step, under the name of the task that does the same in the flow."""
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started


def run_plain_release(home: Home, service: str) -> dict[str, float]:
    """Release the service's newest data version; return the seconds of each step."""
    config = load_service(service, "development")
    plain = PlainRelease(home, config, open_registry(home))
    uri = home.table(service)
    with plain.step("open release"):
        version = latest_version(uri, service)
        table, data = read_version(uri, service, version, config.data.id)
        champion = plain.registry.find_alias(service, "champion")
        assert champion is not None
        identity = _open_run(plain, data)
    with plain.step("validate data"):
        before, _ = read_version(uri, service, champion.data_version, config.data.id)
        verdicts = [_validate_data(plain, table, before)]
    with plain.step("split data"):
        frame = table.to_pandas()
        split = split_rows(frame, config.data, config.split)
        settings = SplitConfig.model_validate_json(champion.tags["sluice.split"])
        old = before.to_pandas()
        trained = old.loc[
            split_rows(old, config.data, settings).training, config.data.id
        ].to_numpy()
        mask = comparison_mask(split, frame[config.data.id].to_numpy(), trained)
        training = frame[split.training].reset_index(drop=True)
        compared = frame[mask].reset_index(drop=True)
    folder = home.workspace(plain.run_id)
    folder.mkdir(parents=True)
    with plain.step("train model"):
        pipeline = _train(plain, training, folder / "model.skops")
    holdout = Holdout(y=compared[config.data.target].to_numpy(), frame=compared)
    with plain.step("evaluate candidate"):
        candidate = predict(pipeline, compared, config.data, config.problem)
        target = training[config.data.target].to_numpy()
        verdicts += [_evaluate_candidate(plain, pipeline, holdout, candidate, champion, target)]
    with plain.step("audit bias"):
        verdicts += [_audit_bias(plain, holdout, candidate)]
    with plain.step("export model"):
        save_export(build_onnx_export(pipeline, config.data), folder / "serving")
    with plain.step("compare export"):
        verdicts += [_compare_export(plain, holdout, candidate, folder / "serving")]
    with plain.step("register candidate"):
        _register(plain, identity, verdicts, pipeline, training, len(compared))
    with plain.step("close release"):
        plain.registry.end_run(plain.run_id, "FINISHED")
        shutil.rmtree(folder)
    return plain.seconds


def _open_run(plain: PlainRelease, data: DataVersion) -> ReleaseIdentity:
    config, registry = plain.config, plain.registry
    identity = ReleaseIdentity(
        service=config.service,
        data=data,
        code=read_code_version(PROJECT),
        config_hash=hashlib.sha256(dump_service(config).encode()).hexdigest(),
        environment=read_environment(LOCK),
    )
    plain.run_id = registry.start_run(config.service, "plain script", identity.tags())
    registry.log_text(plain.run_id, "config.yaml", dump_service(config))
    registry.log_data_input(plain.run_id, data, "training")
    return identity


def _validate_data(plain: PlainRelease, table: Any, before: Any) -> Verdict:
    evidence = measure_data(plain.config, table, before, plain.run_id)
    verdict = _record(plain, DataGate(plain.config.data).judge(evidence))
    page = "data_docs/validation.html"
    if evidence.page is not None:
        plain.registry.log_bytes(plain.run_id, page, evidence.page.read_bytes())
    return verdict


def _train(plain: PlainRelease, training: Any, path: Path) -> Any:
    config = plain.config
    target = training[config.data.target]
    started = time.perf_counter()
    pipeline = fit_model(config.problem, config.model, config.data, training, target)
    seconds = time.perf_counter() - started
    save_model(pipeline, path)
    params = {f"model.{key}": str(value) for key, value in config.model.model_dump().items()}
    metrics = {"training/rows": len(training), "training/seconds": seconds}
    plain.registry.log_facts(plain.run_id, params=params, metrics=metrics)
    return load_model(path)


def _evaluate_candidate(
    plain: PlainRelease,
    pipeline: Any,
    holdout: Holdout,
    candidate: Any,
    champion: ModelVersionRef,
    training: Any,
) -> Verdict:
    config = plain.config
    loaded = plain.registry.load_model(champion)
    against = predict(loaded, holdout.frame, config.data, config.problem)
    evidence = measure_evaluation(
        config.evaluation,
        config.problem,
        config.data.positive,
        holdout,
        candidate,
        against,
        threshold=find_threshold(pipeline),
        training=training,
    )
    verdict = _record(plain, EvaluationGate(config.evaluation).judge(evidence))
    _record_evidence(plain, "evaluation", evidence, name_evaluation_figures(evidence))
    seed = config.evaluation.seed
    importance = measure_importance(pipeline, holdout.frame, config.data, seed=seed)
    _record_figures(
        plain, draw_evaluation(config, holdout, candidate, against, evidence, importance)
    )
    return verdict


def _audit_bias(plain: PlainRelease, holdout: Holdout, candidate: Any) -> Verdict:
    config = plain.config
    favourable = config.data.positive if config.bias.favourable is None else config.bias.favourable
    evidence = measure_bias(config.bias, config.problem, favourable, holdout, candidate)
    verdict = _record(plain, BiasGate(config.bias).judge(evidence))
    _record_evidence(plain, "bias", evidence, name_bias_figures(evidence))
    _record_figures(plain, draw_fairness(config.bias, evidence))
    return verdict


def _compare_export(plain: PlainRelease, holdout: Holdout, candidate: Any, folder: Path) -> Verdict:
    config = plain.config
    served = load_export(folder).predict(take_columns(holdout.frame, config.data))
    evidence = measure_parity(candidate, served)
    verdict = _record(plain, ParityGate(config.serving).judge(evidence))
    plain.registry.log_json(plain.run_id, "evidence/parity.json", evidence.to_dict())
    return verdict


def _register(
    plain: PlainRelease,
    identity: ReleaseIdentity,
    verdicts: list[Verdict],
    pipeline: Any,
    training: Any,
    compared: int,
) -> None:
    config = plain.config
    example = training[list(config.data.features)].head(5)
    card = write_card(
        config,
        identity,
        tuple(verdicts),
        len(training),
        compared,
        threshold=find_threshold(pipeline),
    )
    plain.registry.log_text(plain.run_id, "model_card.md", card)
    tags = {
        **identity.tags(),
        **{f"sluice.verdict.{item.gate}": item.outcome.value for item in verdicts},
        "sluice.split": config.split.model_dump_json(),
        "sluice.serving.form": choose_backend(verdicts[-1]),
    }
    predictions = predict(pipeline, example, config.data, config.problem)
    plain.registry.register_model(
        plain.run_id,
        config.service,
        pipeline,
        example,
        predictions.labels,
        tags,
        card,
        serving=plain.home.workspace(plain.run_id) / "serving",
    )


def _record(plain: PlainRelease, verdict: Verdict) -> Verdict:
    """Record a verdict, and stop the release unless it is `pass`."""
    registry, name = plain.registry, f"sluice.verdict.{verdict.gate}"
    registry.log_json(plain.run_id, f"verdicts/{verdict.gate}.json", verdict.to_dict())
    registry.log_facts(plain.run_id, tags={name: verdict.outcome.value})
    if not verdict.passed:
        raise RuntimeError(verdict.message)
    return verdict


def _record_evidence(
    plain: PlainRelease, gate: str, evidence: Any, metrics: dict[str, float]
) -> None:
    plain.registry.log_facts(plain.run_id, metrics=metrics)
    plain.registry.log_json(plain.run_id, f"evidence/{gate}.json", evidence.to_dict())


def _record_figures(plain: PlainRelease, figures: dict[str, Any]) -> None:
    for name, figure in figures.items():
        plain.registry.log_bytes(plain.run_id, f"plots/{name}.png", render_png(figure))
