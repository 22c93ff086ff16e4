"""The estimate of an evaluation as a table and in sentences."""

from sluice.prompts.evaluation.estimate import EvaluationEstimate
from sluice.report.prompts.pairs import format_dollars
from sluice.rounding import format_duration


def list_parts(estimate: EvaluationEstimate) -> list[dict[str, str]]:
    """Return one row a part: its model, calls, replies that are kept, tokens, cost and time."""
    rows = []
    for part in estimate.parts:
        pace = estimate.find_pace(part.model)
        seconds = part.guess_seconds(pace)
        rows.append(
            {
                "part": part.name,
                "model": part.model,
                "calls": f"{len(part.calls):,}",
                "kept": f"{part.kept:,}",
                "tokens, about": f"{round(part.guess_tokens(pace)):,}",
                "at most": f"{part.most_tokens:,}",
                "cost at most": format_dollars(part.most_cost),
                "time, about": "unknown" if seconds is None else format_duration(seconds),
            }
        )
    return rows


def describe_estimate(estimate: EvaluationEstimate) -> list[str]:
    """Return the estimate in sentences: in all, what is unknown, and what the budget allows."""
    made = sum(len(part.made) for part in estimate.parts)
    most, budget = estimate.most_cost, format_dollars(estimate.spend)
    cost = "at a price that is unknown" if most is None else f"for {format_dollars(most)} at most"
    lines = [
        f"{estimate.prompt} v{estimate.version}: {estimate.calls:,} calls, "
        f"{estimate.calls - made:,} of them kept from before, at no cost; {made:,} are made "
        f"{cost}, and the budget of an evaluation is {budget}"
    ]
    if most is not None and most > estimate.spend:
        lines.append(
            "the largest cost is above the budget. It counts each byte as a token: English prose "
            "costs about a quarter. Where the budget ends, the cases left are not run (`spend` in "
            "limits.yaml)"
        )
    lines += [f"{part.name}: {part.condition}" for part in estimate.parts if part.condition]
    models = dict.fromkeys(part.model for part in estimate.parts if part.made)
    unknown = [model for model in models if estimate.find_pace(model) is None]
    if unknown:
        lines.append(
            f"no reply of {' and '.join(unknown)} is kept: its time is unknown until the first "
            "answers, and tokens are counted as four bytes each"
        )
    return lines
