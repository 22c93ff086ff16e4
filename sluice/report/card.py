"""The model card: a model, its data, its verdicts, and what was not proved."""

from collections.abc import Sequence

from sluice.config.data import TrafficSource
from sluice.config.service import ServiceConfig
from sluice.identity import ReleaseIdentity
from sluice.report.markdown import escape, write_table
from sluice.report.verdict_table import count_outcomes, format_number, verdict_rows
from sluice.verdict import Check, Outcome, Verdict

EVALUATION = "evaluation"
HEADS = ("check", "outcome", "measured", "interval", "limit", "n")


def write_card(
    config: ServiceConfig,
    identity: ReleaseIdentity,
    verdicts: Sequence[Verdict],
    training_rows: int,
    compared_rows: int,
    threshold: float | None = None,
) -> str:
    """Write the model card as Markdown.

    It begins with the evaluation. The other sections follow Mitchell et al. 2019, "Model cards for
    model reporting": details, intended use, data, metrics with intervals and limits, what was not
    proved, identity. `threshold` is the decision threshold, where it was chosen on the training
    rows instead of configured.
    """
    others = [verdict for verdict in verdicts if verdict.gate != EVALUATION]
    parts = [
        f"# {config.service}",
        config.description,
        *_write_evaluation(verdicts),
        *_write_verdicts(verdicts),
        *_write_unproved(verdicts),
        *_write_use(config),
        *_write_model(config, threshold),
        *_write_data(config, identity, training_rows, compared_rows),
        *_write_figures(others),
        *_write_identity(identity),
    ]
    return "\n\n".join(parts) + "\n"


def _write_evaluation(verdicts: Sequence[Verdict]) -> list[str]:
    """Write what the evaluation gate measured; empty where it did not judge."""
    found = [verdict for verdict in verdicts if verdict.gate == EVALUATION]
    parts = ["## Evaluation"] if found else []
    for verdict in found:
        parts += [f"**{verdict.outcome.value}**: {verdict.reason}", _write_measured(verdict)]
    return list(filter(None, parts))


def _write_verdicts(verdicts: Sequence[Verdict]) -> list[str]:
    rows = [
        (verdict.gate, verdict.outcome.value, count_outcomes(verdict), verdict.reason)
        for verdict in verdicts
    ]
    return ["## Verdicts", write_table(("gate", "outcome", "checks", "reason"), rows)]


def _write_use(config: ServiceConfig) -> list[str]:
    data = config.data
    target = f"`{data.target}`"
    if config.problem == "binary":
        target = f"whether `{data.target}` is `{data.positive}`"
    unused = [name for name in config.bias.columns if name not in data.features]
    sentences = [
        f"The model predicts {target} ({config.problem}) from {len(data.features)} columns: "
        f"{', '.join(f'`{name}`' for name in data.features)}.",
        "It was trained and evaluated on rows of the data below; nothing was measured for other "
        "places, times or people.",
    ]
    if unused:
        named = ", ".join(f"`{name}`" for name in unused)
        sentences.append(
            f"It does not use {named}; the bias gate compares its predictions by them."
        )
    return ["## Intended use", *sentences]


def _write_model(config: ServiceConfig, threshold: float | None) -> list[str]:
    values = config.model.model_dump()
    rows = [(f"`{name}`", str(value)) for name, value in values.items()]
    rows.append(("`bias.mitigation`", config.bias.mitigation))
    if threshold is not None:
        rows.append(("threshold in use", format_number(threshold, whole=False)))
    return ["## Model", write_table(("option", "value"), rows)]


def _write_data(
    config: ServiceConfig, identity: ReleaseIdentity, training: int, compared: int
) -> list[str]:
    data, split = identity.data, config.split
    together = f", rows of one `{split.group}` together" if split.group else ""
    decided = f"by time (`{config.data.time}`)" if split.by == "time" else "by hash"
    rows = [
        ("version", str(data.version)),
        ("rows", format_number(data.rows)),
        ("content", f"`{data.content_hash}`"),
        ("schema", f"`{data.schema_hash}`"),
        ("split", f"{decided}, seed {split.seed}{together}"),
        ("held-out share", f"{split.holdout:.0%} configured"),
        ("training rows", format_number(training)),
        (
            "held-out rows",
            f"{format_number(compared)}, in the training rows of neither candidate nor champion",
        ),
    ]
    if recent := config.evaluation.recent:
        unit = " rows" if isinstance(recent, int) else ""
        rows.append(("rows that decide", f"the newest ones (`evaluation.recent`: {recent}{unit})"))
    return ["## Data", write_table(("fact", "value"), rows), *_write_traffic(config)]


def _write_traffic(config: ServiceConfig) -> list[str]:
    """Write what rows of the service's own traffic can tell; empty where none are taken."""
    if not isinstance(config.source, TrafficSource):
        return []
    sentences = [
        "Rows are taken from the service's own traffic, with the labels that callers sent. The "
        "service's table of provenance has the request of each, and whether a candidate, a shadow "
        "or an arm of an experiment saw it.",
    ]
    if config.source.labels == "selective":
        sentences.append(
            "**Labels exist only for what the model chose** (`source.labels: selective`). What "
            "would have become of the others is not known, so from these rows cannot be known: how "
            "many of those that the model turned down it was wrong about, its recall and its false "
            "negatives, and whether it is right about people or things of a kind that it never "
            "chooses. Figures by group are biased in the same way. Rows that a candidate or an "
            "experiment chose otherwise are the only evidence about them."
        )
    return sentences


def _write_figures(verdicts: Sequence[Verdict]) -> list[str]:
    """Write each gate's measured checks with intervals and limits."""
    parts = ["## Figures of the other gates"]
    for verdict in verdicts:
        if table := _write_measured(verdict):
            parts += [f"### {verdict.gate}", table]
    return parts


def _write_measured(verdict: Verdict) -> str:
    """Write a table of the checks that have a figure, judged ones first; empty where none has."""
    rows = [row for row in verdict_rows(verdict) if row["measured"]]
    rows.sort(key=lambda row: row["outcome"] == Outcome.LISTED)
    return write_table(HEADS, [[row[head] for head in HEADS] for row in rows]) if rows else ""


def _write_unproved(verdicts: Sequence[Verdict]) -> list[str]:
    """List every notice, and every check that proved nothing."""
    notices = [f"{verdict.gate}: {notice}" for verdict in verdicts for notice in verdict.notices]
    noticed = " ".join(notices)
    notices += [
        f"{verdict.gate}: {check.name}: {check.note}"
        for verdict in verdicts
        for check in verdict.checks
        if _is_open(check) and check.name not in noticed
    ]
    lines = [f"- {escape(notice)}" for notice in notices] or ["Every check was proved."]
    return ["## Notices and unproved checks", "\n".join(lines)]


def _is_open(check: Check) -> bool:
    """Whether a check decided nothing although it has a limit, or has no figure at all."""
    undecided = check.outcome in (Outcome.LISTED, Outcome.INSUFFICIENT)
    return undecided and (check.limit is not None or check.measured is None)


def _write_identity(identity: ReleaseIdentity) -> list[str]:
    code, environment = identity.code, identity.environment
    dirty = " with uncommitted changes" if code.dirty else ""
    rows = [
        ("release", f"`{identity.id}`"),
        ("code", f"`{code.commit}`{dirty}"),
        ("configuration", f"`{identity.config_hash}`"),
        ("lock", f"`{environment.lock_hash}`"),
        ("Python", f"{environment.python}, {environment.platform}"),
        ("image", environment.image or "none"),
    ]
    return ["## Identity", write_table(("fact", "value"), rows)]
