"""The evaluation gate's evidence: candidate and champion on the same rows that neither saw."""

from typing import TYPE_CHECKING

from prefect import get_run_logger

from sluice.adapters.registry.client import open_registry
from sluice.config.service import ServiceConfig
from sluice.gates.evaluation import EvaluationGate, Holdout, measure_evaluation
from sluice.home import find_home
from sluice.models.importance import measure_importance
from sluice.models.prediction import predict
from sluice.models.training import find_threshold
from sluice.plots.evaluation import draw_evaluation
from sluice.report.figures import name_evaluation_figures, name_primary_figures
from sluice.report.history import PRIMARY
from sluice.verdict import Verdict
from tasks.decorators import effect
from tasks.pictures import show_pictures
from tasks.recording import record_figures, record_verdict
from tasks.release import Release, link_run
from tasks.rows import Parts, read_part
from tasks.training import TrainedModel

if TYPE_CHECKING:
    import pandas as pd

    from sluice.stats.predictions import Predictions


@effect
def weigh_candidate(
    config: ServiceConfig, release: Release, parts: Parts, model: TrainedModel
) -> Verdict:
    """Judge the candidate against floors, champion and slices; record verdict, figures, plots.

    Raises:
        ModelUntrusted: the champion's file holds a type that nobody reviewed.
        Fault: the table or the registry cannot be reached.
    """
    log = get_run_logger()
    frame = read_part(config, release, parts, "compared")
    holdout = Holdout(y=frame[config.data.target].to_numpy(), frame=frame)
    log.info("scoring %s held-out rows", f"{len(frame):,}")
    pipeline = model.open()
    candidate = predict(pipeline, frame, config.data, config.problem)
    champion = score_champion(config, release, frame)
    log.info("comparing with the champion, %s bootstrap draws", f"{config.evaluation.draws:,}")
    evidence = measure_evaluation(
        config.evaluation,
        config.problem,
        config.data.positive,
        holdout,
        candidate,
        champion,
        threshold=find_threshold(pipeline),
    )
    verdict = EvaluationGate(config.evaluation).judge(evidence)
    record_verdict(release, verdict)
    registry = open_registry(find_home())
    limits = config.evaluation
    metrics = {**name_evaluation_figures(evidence), **name_primary_figures(limits, evidence)}
    registry.log_facts(release.run_id, metrics=metrics, tags={PRIMARY: limits.primary})
    registry.log_json(release.run_id, "evidence/evaluation.json", evidence.to_dict())
    log.info("drawing what the evaluation saw")
    importance = measure_importance(pipeline, frame, config.data, seed=config.evaluation.seed)
    figures = draw_evaluation(config, holdout, candidate, champion, evidence, importance)
    pictures = record_figures(release, figures)
    title = f"{config.service} data v{release.data.version}: evaluation"
    show_pictures(f"{config.service}-evaluation", title, pictures, link_run(release.run_id))
    return verdict


def score_champion(
    config: ServiceConfig, release: Release, frame: "pd.DataFrame"
) -> "Predictions | None":
    """Score the champion on the same rows; None where there is no champion.

    Raises:
        ModelUntrusted: its file holds a type that nobody reviewed.
        Fault: the registry cannot be reached.
    """
    if release.champion is None:
        return None
    pipeline = open_registry(find_home()).load_model(release.champion)
    return predict(pipeline, frame, config.data, config.problem)
