"""A new service's YAML: every guessed value has its reason in a comment."""

import json
from typing import Any

import yaml

from sluice.config.reading import ReadingConfig
from sluice.config.service import ServiceConfig
from sluice.documents import parse_yaml
from sluice.metrics import METRICS, check_metrics
from sluice.profile.draft import Draft
from sluice.profile.facts.columns import ColumnFacts
from sluice.profile.facts.leaks import LEAKAGE_LIMIT
from sluice.profile.facts.sizes import choose_minimum_group
from sluice.profile.limits import (
    Margin,
    choose_calibration,
    choose_margin,
    describe_cost,
    explain_no_floor,
    find_floor,
    half_width,
    round_figure,
)

REASON_COLUMN = 38
FEW_ROWS = 2_000
"""Rows below which cross-validation is offered."""
SLICED = 200
"""Fewest held-out rows of a slice that is judged."""
SLICES = 3


def write_document(draft: Draft) -> str:
    """Return the service's configuration as YAML with comments, after it was validated.

    Raises:
        ConfigInvalid: its limits do not fit the problem.
    """
    margin = choose_margin(draft.trial, draft.held_out)
    sections = [
        _write_head(draft),
        _write_data(draft),
        _write_split(draft),
        _write_model(draft),
        _write_evaluation(draft, margin),
        _write_bias(draft),
    ]
    text = "\n".join("\n".join(lines) + "\n" for lines in sections)
    values = json.dumps(parse_yaml(text))
    check_metrics(ServiceConfig.model_validate_json(values, strict=True))
    return text


def _line(depth: int, key: str, value: Any, reason: str = "") -> str:
    start = f"{'  ' * depth}{_scalar(key)}:" + (f" {_scalar(value)}" if value is not None else "")
    comment = " ".join(reason.split())  # a line break would end the comment
    return f"{start:<{REASON_COLUMN - 1}} # {comment}" if comment else start


def _item(depth: int, value: str) -> str:
    return f"{'  ' * depth}- {_scalar(value)}"


def _scalar(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_scalar(item) for item in value) + "]"
    text = yaml.safe_dump(value, allow_unicode=True, width=10_000, default_flow_style=True)
    plain = text.removesuffix("\n").removesuffix("\n...").strip()
    return json.dumps(value, ensure_ascii=False) if "\n" in plain or ", " in plain else plain


def _write_head(draft: Draft) -> list[str]:
    kind = {"regression": "How large", "binary": "Whether", "multiclass": "Which"}[draft.problem]
    target, source = draft.roles.target.name, draft.source
    return [
        f"# Written by `sluice init` from {json.dumps(source, ensure_ascii=False)}: "
        f"{draft.rows:,} rows.",
        "# Each guess has its reason beside it; change what you know better.",
        _line(0, "service", draft.service),
        _line(0, "description", f"{kind} {target} is, from {source}."),
        _line(0, "problem", draft.problem, draft.roles.problem.reason),
    ]


def _write_data(draft: Draft) -> list[str]:
    roles, data = draft.roles, draft.data
    lines = ["data:", _line(1, "id", data.id, roles.id.reason)]
    if data.time:
        lines.append(_line(1, "time", data.time, roles.time.reason))
    lines.append(_line(1, "target", data.target))
    if draft.problem == "binary" and roles.positive:
        lines.append(_line(1, "positive", data.positive, roles.positive.reason))
    lines += [
        _line(1, "suite", data.suite, f"gx/expectations/{data.suite}.json"),
        _line(1, "minimum_rows", data.minimum_rows, "half of the first file, never below 200"),
        *_write_reading(data.reading),
        "  columns:",
    ]
    lines += [_line(2, item.name, item.kind, _describe_column(item)) for item in draft.columns]
    lines.append("  features:")
    lines += [_item(2, name) for name in data.features]
    costs = {cost.columns[0]: cost for cost in draft.costs if len(cost.columns) == 1}
    for name, reason in draft.left_out.items():
        cost = f"; {describe_cost(costs[name])}" if name in costs else ""
        lines.append(f"    # not {json.dumps(name, ensure_ascii=False)}: {reason}{cost}")
    if data.encodings:
        lines.append("  encodings:")
        lines += [
            _line(2, name, encoding, draft.encodings[name].reason)
            for name, encoding in data.encodings.items()
        ]
    best = max(draft.powers, key=lambda item: item.power or 0.0)
    reason = f"the strongest feature kept is {best.feature}: power {best.power or 0.5:.2f} alone"
    lines += ["  leakage:", _line(2, "limit", LEAKAGE_LIMIT, reason)]
    allowed = [item for item in draft.strong if item.kept]
    if allowed:
        reason = "; ".join(f"{item.name}: {item.reason}" for item in allowed)
        lines.append(_line(2, "allowed", [item.name for item in allowed], reason))
    return lines


def _write_reading(reading: ReadingConfig) -> list[str]:
    """Return the section on how later files are read; nothing where all is as usual."""
    values = reading.model_dump(mode="json", exclude_defaults=True)
    if not values:
        return []
    reasons = {
        "delimiter": "divides the cells of this file, and of later ones",
        "encoding": "of this file, and of later ones",
        "decimal": "the sign before fractions in this file",
        "nulls": "absent values among numbers, times and booleans; never in text",
    }
    columns = values.pop("columns", {})
    lines = ["  reading:", *(_line(2, key, values[key], reasons.get(key, "")) for key in values)]
    lines += ["    columns:"] if columns else []
    for name, form in columns.items():
        lines.append(_line(3, name, None))
        lines += [_line(4, key, value) for key, value in form.items()]
    return lines


def _describe_column(column: ColumnFacts) -> str:
    gaps = f", {column.nulls:,} empty" if column.nulls else ""
    return f"{column.reason}{gaps}, {column.distinct:,} different values"


def _write_split(draft: Draft) -> list[str]:
    if draft.split.by == "time":
        reason = f"{draft.data.time} has many dates: held-out rows are later than training rows"
    else:
        reason = "by the id, so that a row never changes its side"
    about = f"about {draft.held_out:,} rows of this file"
    if draft.unusual:
        about += f"; {draft.unusual}"
    lines = [
        "split:",
        _line(1, "by", draft.split.by, reason),
        _line(1, "holdout", draft.split.holdout, about),
        _line(1, "seed", draft.split.seed),
    ]
    if draft.roles.group:
        lines.append(_line(1, "group", draft.split.group, draft.roles.group.reason))
    if draft.rows < FEW_ROWS:
        offer = f"5: cross-validation, which evaluates all {draft.rows:,} rows, not a share"
        lines.append(_line(1, "folds", draft.split.folds, offer))
    return lines


def _write_model(draft: Draft) -> list[str]:
    model, primary = draft.trial.model, draft.trial.primary
    values = model.model_dump(mode="json", exclude_defaults=True) | {"kind": model.kind}
    reason = (
        f"{primary.metric} {primary.model.value or 0.0:.3g} in a trial on {draft.trial.rows:,} "
        f"training rows; {draft.trial.other}"
    )
    lines = ["model:", _line(1, "kind", values.pop("kind"), reason)]
    lines += [
        _line(1, key, value, draft.trial.reasons.get(key, "")) for key, value in values.items()
    ]
    lines.append(_line(1, "seed", 0))
    if draft.problem == "binary":
        lines.append(_line(1, "threshold", 0.5, "both kinds of error cost the same"))
    return lines


def _write_evaluation(draft: Draft, margin: Margin) -> list[str]:
    primary = draft.trial.primary
    unit = f" of {draft.data.target}" if draft.problem == "regression" else ""
    reason = (
        f"equal models pass a margin of {margin.detectable:.2g}{unit} on {margin.held_out:,} rows"
    )
    if not margin.fine_enough:
        reason += f"; this margin needs {margin.needed:,}"
    reasons = {
        "auc": "ranks rows; does not depend on the threshold",
        "accuracy": "the share of correct classes",
        "rmse": f"what the model minimises, in the unit of {draft.data.target}",
    }
    lines = [
        "evaluation:",
        _line(
            1, "primary", primary.metric, (reasons | draft.trial.reasons).get(primary.metric, "")
        ),
        _line(1, "margin", margin.value, reason),
        *_write_floors(draft),
    ]
    if columns := _choose_slices(draft):
        loss = 0.05
        if not METRICS[primary.metric].greater_is_better:
            loss = round_figure(0.25 * abs(primary.model.value or 1.0))
        lines += [
            "  slices:",
            _line(2, "columns", columns, f"at least {SLICED} held-out rows in a value"),
            _line(2, "minimum", SLICED, "smaller slices are listed, not judged"),
            _line(2, "margin", loss, "a loss that the slice's users would notice"),
        ]
    if limits := choose_calibration(draft.trial, draft.held_out):
        lines += [
            "  calibration:",
            _line(2, "gap", limits.gap, "kept by the trial's model with its interval"),
            _line(2, "slope", list(limits.slope), "the same"),
        ]
    elif draft.problem == "binary":
        lines.append(
            "  # no limits on calibration: the trial's model could not prove them on so few rows"
        )
    return lines


def _write_floors(draft: Draft) -> list[str]:
    lines = []
    for measured in draft.trial.figures:
        floor = find_floor(measured, draft)
        figure = f"{measured.model.value or 0.0:.3g}"
        reach = half_width(measured, draft.held_out)
        if floor is None:
            lines.append(f"    # {measured.metric}: no floor: {explain_no_floor(measured, draft)}")
        else:
            reason = (
                f"halfway from {measured.trivial:.3g} (no features) to the trial's {figure} "
                f"+- {reach:.2g}"
            )
            lines.append(_line(2, measured.metric, floor, reason))
    has_floors = any(not line.lstrip().startswith("#") for line in lines)
    return ["  floors:" if has_floors else "  floors: {}", *lines]


def _choose_slices(draft: Draft) -> list[str]:
    """Return the sensitive columns and a few others that have a value with enough rows."""
    share = draft.held_out / draft.rows
    several = [
        column
        for column in draft.columns
        if column.name in (*draft.sensitive, *draft.data.features)
        and 2 <= len(column.levels) <= 12
        and (column.kind != "number" or column.name in draft.sensitive)
        and max(column.counts) * share >= SLICED
    ]
    several.sort(key=lambda column: (column.name not in draft.sensitive, column.kind == "integer"))
    return [column.name for column in several[:SLICES]]


def _write_bias(draft: Draft) -> list[str]:
    if not draft.sensitive:
        return [
            "bias:",
            _line(1, "sensitive", "none", "as given"),
            _line(1, "reason", draft.roles.reason),
        ]
    lines = ["bias:", _line(1, "sensitive", list(draft.sensitive), "as given")]
    if draft.roles.favourable:
        given = "the class that is good for a person, as given"
        lines.append(_line(1, "favourable", draft.roles.favourable.value, given))
    if draft.problem == "regression":
        lines.append(_line(1, "loss_ratio", 1.25, "errors a quarter larger than elsewhere"))
    else:
        lines += [
            _line(1, "selection_ratio", 0.80, "the four-fifths rule of US employment law"),
            _line(1, "true_positive_difference", -0.10, "one in ten more overlooked"),
            _line(1, "false_positive_difference", 0.15, "wider: few negatives in small groups"),
        ]
    return [
        *lines,
        _line(1, "minimum_group", *choose_minimum_group(draft.groups, draft.held_out)),
        _line(1, "on_unproved", "list", "`halt` once there are enough rows to prove it"),
    ]
