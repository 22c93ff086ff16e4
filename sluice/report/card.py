"""The model card: what a model is, how it was judged, and what nobody proved."""

from collections.abc import Sequence

from sluice.config.service import ServiceConfig
from sluice.identity import ReleaseIdentity
from sluice.report.verdict_table import count_outcomes, format_number, verdict_rows
from sluice.verdict import Check, Outcome, Verdict

Table = Sequence[Sequence[str]]


def write_card(
    config: ServiceConfig,
    identity: ReleaseIdentity,
    verdicts: Sequence[Verdict],
    training_rows: int,
    compared_rows: int,
    threshold: float | None = None,
) -> str:
    """Write the model card as Markdown, from facts alone.

    Sections follow Mitchell et al. 2019, "Model cards for model reporting": details, intended use,
    metrics with intervals and limits, data, what was not proved, identity. `threshold` is where
    the model decides, should the configuration have left that to the training rows.
    """
    parts = [
        f"# {config.service}",
        config.description,
        *_write_verdicts(verdicts),
        *_write_use(config),
        *_write_model(config, threshold),
        *_write_data(config, identity, training_rows, compared_rows),
        *_write_figures(verdicts),
        *_write_unproved(verdicts),
        *_write_identity(identity),
    ]
    return "\n\n".join(parts) + "\n"


def write_table(heads: Sequence[str], rows: Table) -> str:
    """Write a Markdown table; pipes and line breaks in cells are made harmless."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(_escape, line))} |" for line in lines)


def _escape(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")


def _write_verdicts(verdicts: Sequence[Verdict]) -> list[str]:
    rows = [
        (verdict.gate, verdict.outcome.value, count_outcomes(verdict), verdict.reason)
        for verdict in verdicts
    ]
    return ["## Verdicts", write_table(("gate", "outcome", "checks", "reason"), rows)]


def _write_use(config: ServiceConfig) -> list[str]:
    data = config.data
    answers = f"`{data.target}`"
    if config.problem == "binary":
        answers = f"whether `{data.target}` is `{data.positive}`"
    unseen = [name for name in config.bias.columns if name not in data.features]
    sentences = [
        f"It answers {answers} ({config.problem}), from {len(data.features)} columns: "
        f"{', '.join(f'`{name}`' for name in data.features)}.",
        "It knows rows like those it was trained and judged on; for other places, times or people "
        "nothing was measured.",
    ]
    if unseen:
        named = ", ".join(f"`{name}`" for name in unseen)
        sentences.append(f"It never sees {named}; they are used to judge it.")
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
        ("held out", f"{split.holdout:.0%} asked"),
        ("training rows", format_number(training)),
        ("rows that judge", f"{format_number(compared)}, unseen by the candidate and the champion"),
    ]
    return ["## Data", write_table(("fact", "value"), rows)]


def _write_figures(verdicts: Sequence[Verdict]) -> list[str]:
    """Give each gate's measured checks with intervals and limits."""
    parts = ["## Figures"]
    heads = ("check", "outcome", "measured", "interval", "limit", "n")
    for verdict in verdicts:
        rows = [row for row in verdict_rows(verdict) if row["measured"]]
        if rows:
            parts.append(f"### {verdict.gate}")
            parts.append(write_table(heads, [[row[head] for head in heads] for row in rows]))
    return parts


def _write_unproved(verdicts: Sequence[Verdict]) -> list[str]:
    """List what the gates saw and could not prove, and every notice."""
    notices = [f"{verdict.gate}: {notice}" for verdict in verdicts for notice in verdict.notices]
    said = " ".join(notices)
    notices += [
        f"{verdict.gate}: {check.name}: {check.note}"
        for verdict in verdicts
        for check in verdict.checks
        if _is_open(check) and check.name not in said
    ]
    lines = [f"- {_escape(notice)}" for notice in notices] or ["Every check was proved."]
    return ["## Noticed and not proved", "\n".join(lines)]


def _is_open(check: Check) -> bool:
    """Tell whether a check held a limit, or no figure at all, and decided nothing."""
    open_ended = check.outcome in (Outcome.LISTED, Outcome.INSUFFICIENT)
    return open_ended and (check.limit is not None or check.measured is None)


def _write_identity(identity: ReleaseIdentity) -> list[str]:
    code, place = identity.code, identity.environment
    dirty = " with uncommitted changes" if code.dirty else ""
    rows = [
        ("release", f"`{identity.id}`"),
        ("code", f"`{code.commit}`{dirty}"),
        ("configuration", f"`{identity.config_hash}`"),
        ("lock", f"`{place.lock_hash}`"),
        ("Python", f"{place.python}, {place.platform}"),
        ("image", place.image or "none"),
    ]
    return ["## Identity", write_table(("fact", "value"), rows)]
