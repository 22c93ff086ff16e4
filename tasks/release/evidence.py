"""Evidence and verdicts of the data, evaluation and bias gates, on the release's rows."""

from dataclasses import replace
from functools import partial

from prefect import get_run_logger

from sluice.adapters.registry.client import open_registry
from sluice.adapters.tables.quarantine import read_exceptions
from sluice.adapters.tables.snapshot import read_once
from sluice.adapters.validation.expectations import measure_data
from sluice.config.data import TrafficSource
from sluice.config.service import ServiceConfig
from sluice.data.batches.arrival import EarlierBatches
from sluice.gates.bias import BiasGate
from sluice.gates.data import DataGate
from sluice.gates.evaluation import EvaluationGate, Holdout
from sluice.gates.plausibility import is_implausible
from sluice.home import find_home
from sluice.models.importance import measure_importance
from sluice.models.training import find_threshold
from sluice.plots.evaluation import draw_evaluation
from sluice.plots.forest import draw_fairness
from sluice.report.figures import name_bias_figures, name_evaluation_figures, name_primary_figures
from sluice.report.history import PRIMARY
from sluice.stats.comparison import Lineage
from sluice.stats.recency import EvaluatedRows, measure_recent_bias, measure_recent_evaluation
from sluice.verdict import Verdict
from tasks.release.acceptance import find_acceptance
from tasks.release.recording import (
    record_bad_rows,
    record_figures,
    record_importance,
    record_page,
    record_verdict,
)
from tasks.release.release import Release
from tasks.release.rows import RowSplit, find_recent, read_compared, read_part
from tasks.release.scoring import score_candidate, score_champion
from tasks.release.training import TrainedModel
from tasks.run.artifacts import publish_plots
from tasks.run.decorators import effect


@effect
def validate_data(config: ServiceConfig, release: Release) -> Verdict:
    """Judge the data version and record the verdict.

    Raises:
        ConfigInvalid: the service's expectation suite is missing or unreadable.
        Fault: the table or the registry cannot be reached.
    """
    uri = find_home().table(config.service)
    read = partial(
        read_once,
        release.folder,
        uri,
        config.service,
        id_column=config.data.id,
        columns=config.data.columns,
    )
    table, _ = read(release.data.version)
    baseline = None
    if release.baseline is not None:
        baseline, _ = read(release.baseline)
    get_run_logger().info(
        "validating %s rows against the suite '%s'%s",
        f"{table.num_rows:,}",
        config.data.suite,
        f", new rows against version {release.baseline}" if baseline is not None else "",
    )
    accepted = read_exceptions(find_home().exceptions(config.service), uri)
    is_traffic = isinstance(config.source, TrafficSource)
    earlier = EarlierBatches(exceptions=accepted, is_traffic=is_traffic)
    evidence = measure_data(config, table, baseline, release.run_id, earlier=earlier)
    verdict = DataGate(config.data).judge(evidence)
    record_verdict(release, verdict)
    record_page(release, evidence.page)
    record_bad_rows(release, evidence.bad_rows)
    return verdict


@effect
def evaluate_candidate(
    config: ServiceConfig, release: Release, split: RowSplit, model: TrainedModel
) -> Verdict:
    """Evaluate the candidate: floors, champion, slices; record verdict, figures and plots.

    Raises:
        ModelUntrusted: the champion's file contains a type that was not reviewed.
        Fault: the table or the registry cannot be reached.
    """
    log = get_run_logger()
    frame = read_compared(config, release, split)
    holdout = Holdout(y=frame[config.data.target].to_numpy(), frame=frame)
    log.info("scoring %s held-out rows", f"{len(frame):,}")
    pipeline = model.open()
    scored = score_candidate(config, release, split, model)
    rows = EvaluatedRows(holdout, scored.predictions, score_champion(config, release, split))
    recent = find_recent(config, release, frame)
    if recent is not None:
        log.info("the newest %s of them decide, from %s on", f"{recent.n:,}", recent.since or "-")
    log.info("comparing with the champion and with a constant answer")
    target = config.data.target
    training = read_part(config, release, split, "training", [target])[target].to_numpy()
    evidence = measure_recent_evaluation(
        config.evaluation,
        config.problem,
        config.data.positive,
        rows,
        recent,
        threshold=find_threshold(pipeline),
        training=training,
    )
    evidence = replace(evidence, lineage=trace_lineage(release))
    if is_implausible(config.evaluation, evidence):
        evidence = replace(evidence, acceptance=find_acceptance(config))
    verdict = EvaluationGate(config.evaluation).judge(evidence)
    record_verdict(release, verdict)
    registry = open_registry(find_home())
    limits = config.evaluation
    metrics = {**name_evaluation_figures(evidence), **name_primary_figures(limits, evidence)}
    registry.log_facts(release.run_id, metrics=metrics, tags={PRIMARY: limits.primary})
    registry.log_json(release.run_id, "evidence/evaluation.json", evidence.to_dict())
    log.info("drawing the plots of the evaluation")
    seed = config.evaluation.seed
    importance = measure_importance(scored.pipeline, scored.test, config.data, seed=seed)
    record_importance(release, importance)
    shown = rows.choose(recent)
    figures = draw_evaluation(
        config, shown.holdout, shown.candidate, shown.champion, evidence, importance
    )
    pictures = record_figures(release, figures)
    title = f"{config.service} data v{release.data.version}: evaluation"
    publish_plots(f"{config.service}-evaluation", title, pictures, release.page)
    return verdict


def trace_lineage(release: Release) -> Lineage:
    """Return which version serves, and the data versions of champion and candidate."""
    champion = release.champion
    return Lineage(
        champion=release.serves,
        champion_data=champion.find_data_version() if champion else None,
        candidate_data=release.data.version,
        service=release.service,
    )


@effect
def audit_bias(
    config: ServiceConfig, release: Release, split: RowSplit, model: TrainedModel
) -> Verdict:
    """Audit how differently groups are treated; record verdict, figures and plots.

    Raises:
        Fault: the table or the registry cannot be reached.
    """
    frame = read_compared(config, release, split)
    holdout = Holdout(y=frame[config.data.target].to_numpy(), frame=frame)
    columns = " and ".join(config.bias.columns) or "none"
    get_run_logger().info("auditing groups by %s on %s rows", columns, f"{len(frame):,}")
    rows = EvaluatedRows(holdout, score_candidate(config, release, split, model).predictions)
    recent = find_recent(config, release, frame)
    favourable = config.data.positive if config.bias.favourable is None else config.bias.favourable
    evidence = measure_recent_bias(config.bias, config.problem, favourable, rows, recent)
    verdict = BiasGate(config.bias).judge(evidence)
    record_verdict(release, verdict)
    registry = open_registry(find_home())
    registry.log_facts(release.run_id, metrics=name_bias_figures(evidence))
    registry.log_json(release.run_id, "evidence/bias.json", evidence.to_dict())
    if config.bias.columns:
        pictures = record_figures(release, draw_fairness(config.bias, evidence))
        title = f"{config.service} data v{release.data.version}: fairness by group"
        publish_plots(f"{config.service}-fairness", title, pictures, release.page)
    return verdict
