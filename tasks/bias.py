"""The bias gate's evidence: each group against the rest on the held-out rows."""

from prefect import get_run_logger

from sluice.adapters.registry.client import open_registry
from sluice.config.service import ServiceConfig
from sluice.gates.bias import BiasGate, measure_bias
from sluice.gates.evaluation import Holdout
from sluice.home import find_home
from sluice.models.prediction import predict
from sluice.plots.fairness import draw_fairness
from sluice.report.figures import name_bias_figures
from sluice.verdict import Verdict
from tasks.decorators import effect
from tasks.pictures import show_pictures
from tasks.recording import record_figures, record_verdict
from tasks.release import Release, link_run
from tasks.rows import Parts, read_part
from tasks.training import TrainedModel


@effect
def weigh_bias(
    config: ServiceConfig, release: Release, parts: Parts, model: TrainedModel
) -> Verdict:
    """Judge how differently groups are treated; record verdict, figures and the picture.

    Raises:
        Fault: the table or the registry cannot be reached.
    """
    frame = read_part(config, release, parts, "compared")
    holdout = Holdout(y=frame[config.data.target].to_numpy(), frame=frame)
    columns = " and ".join(config.bias.columns) or "none"
    get_run_logger().info("auditing groups by %s on %s rows", columns, f"{len(frame):,}")
    predictions = predict(model.open(), frame, config.data, config.problem)
    favourable = config.data.positive if config.bias.favourable is None else config.bias.favourable
    evidence = measure_bias(config.bias, config.problem, favourable, holdout, predictions)
    verdict = BiasGate(config.bias).judge(evidence)
    record_verdict(release, verdict)
    registry = open_registry(find_home())
    registry.log_facts(release.run_id, metrics=name_bias_figures(evidence))
    registry.log_json(release.run_id, "evidence/bias.json", evidence.to_dict())
    if config.bias.columns:
        pictures = record_figures(release, draw_fairness(config.bias, evidence))
        title = f"{config.service} data v{release.data.version}: fairness by group"
        show_pictures(f"{config.service}-fairness", title, pictures, link_run(release.run_id))
    return verdict
