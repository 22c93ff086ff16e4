"""A sample of a prompt's answers is judged after they were given, off the callers' way.

What is sampled follows from the request's id. Grounding is free; judges are asked only where their
agreement with people is proved for the model that grades, within the day's money for sampling and
within the prompt's own budgets.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sluice.adapters.control.store import Control, prepare_control
from sluice.adapters.jsonl_file import read_rows, write_rows
from sluice.adapters.traffic.calls import LoggedCall, sample_calls
from sluice.config.llm.monitoring import load_watched
from sluice.config.llm.serving import SamplingConfig
from sluice.control.spending import name_period
from sluice.documents import DocumentInvalid, parse_json
from sluice.errors import PromptInvalid, SluiceError
from sluice.home import PROMPTS, Home, environment_name, find_home
from sluice.prompts.criterion import Criterion
from sluice.prompts.evaluation.case_scores import score_criterion
from sluice.prompts.evaluation.judges import PromptJudge, load_judge
from sluice.prompts.live.samples import (
    JudgedSample,
    count_since,
    keep_recent,
    list_sample_signals,
    start_of_day,
)
from sluice.prompts.published import read_published
from sluice.prompts.scorers.scoring import JudgedAnswer, ScoringParts
from sluice.prompts.version import PromptVersion
from tasks.prompts.asking import AskingScope, open_asker
from tasks.prompts.evaluation import Asker
from tasks.prompts.judging import explain_standing

SAMPLED = "samples"
"""Subject of the watermark of how far a prompt's answers were sampled."""
FIRST = timedelta(hours=1)
"""How far back the first sample reaches."""
GROUNDING = Criterion(name="grounding", type="grounding")
"""Looks at answers with passages, where the version has no such criterion of its own."""


@dataclass(frozen=True)
class SampleJudges:
    """The judges of a version's criteria that are proved, and why the others are not asked."""

    proved: Mapping[str, PromptJudge]
    silence: str


def judge_samples(prompt: str, until: datetime) -> int:
    """Judge a sample of the answers since the last look, and record its signals.

    `until` is when the traffic log is complete. Returns how many answers were judged.

    Raises:
        PromptInvalid: a published version or a judge's file is not valid.
        Fault: the control store, a table or the samples' file cannot be reached.
    """
    home, control = find_home(), prepare_control()
    config, route = load_watched(prompt).monitoring.sampling, control.routes.find(prompt)
    seen = control.watermarks.find(prompt, SAMPLED)
    start = until - FIRST if seen.is_new else datetime.fromisoformat(seen.mark)
    if route is None or route.champion is None or not config.share or start >= until:
        return 0
    kept = keep_recent(read_rows(home.samples(prompt), JudgedSample), until)
    left = max(0, config.answers - count_since(kept, start_of_day(until)))
    found = sample_calls(home, prompt, start, until, config.share, left)
    judged, silence = list[JudgedSample](), dict[int, str]()
    for number in sorted({call.version for call in found}):
        version = read_published(home.published_prompts(prompt), prompt, number)
        judges = find_judges(version)
        silence[number] = judges.silence
        calls = [call for call in found if call.version == number]
        judged += _judge_calls(home, version, judges, calls, config, until)
    if judged:
        kept = keep_recent([*kept, *judged], until)
        write_rows(home.samples(prompt), kept)
        _record(control, prompt, route.champion, kept, silence.get(route.champion, ""), until)
    control.watermarks.move(seen, seen.settle(until.isoformat()))
    return len(judged)


def _record(
    control: Control,
    prompt: str,
    version: int,
    kept: Sequence[JudgedSample],
    silence: str,
    now: datetime,
) -> None:
    control.signals.record(list_sample_signals(prompt, version, kept, silence, now))


def find_judges(version: PromptVersion) -> SampleJudges:
    """Return the judges of a version's criteria; one that is not proved is never asked.

    Raises:
        PromptInvalid: a judge's files are not valid.
    """
    proved, reasons = dict[str, PromptJudge](), list[str]()
    for name in dict.fromkeys(item.judge_name for item in version.eval_criteria):
        if not name:
            continue
        judge = load_judge(name, PROMPTS)
        if reason := explain_standing(judge, environment_name()):
            reasons.append(reason)
        else:
            proved[name] = judge
    missing = "; ".join(reasons) or "no criterion of the version has a judge"
    return SampleJudges(proved, "" if proved else missing)


def _judge_calls(
    home: Home,
    version: PromptVersion,
    judges: SampleJudges,
    calls: Sequence[LoggedCall],
    config: SamplingConfig,
    now: datetime,
) -> list[JudgedSample]:
    answers = [(call, found) for call in calls if (found := read_answer(version, call))]
    if not judges.proved:
        return [
            JudgedSample(
                request_id=call.request_id,
                at=call.at,
                version=call.version,
                grounding=score_grounding(version, answer),
            )
            for call, answer in answers
        ]
    run, day = f"judging-{version.name}", name_period("day", now)
    scope = AskingScope(version.name, period=day)

    async def judge() -> list[JudgedSample]:
        async with open_asker(home, environment_name(), run, config.spend, scope) as asker:
            return await asyncio.gather(
                *(_judge(asker, judges, version, call, answer) for call, answer in answers)
            )

    return asyncio.run(judge())


async def _judge(
    asker: Asker,
    judges: SampleJudges,
    version: PromptVersion,
    call: LoggedCall,
    answer: JudgedAnswer,
) -> JudgedSample:
    scores, problem = dict[str, float](), ""
    for name, judge in judges.proved.items():
        request = judge.make_request(answer.source, answer.text, answer.reference or "")
        try:
            grade = judge.read_grade((await asker.ask(request, 0)).reply.text)
            scores[name] = judge.file.grades[grade]
        except (SluiceError, ValueError) as error:
            problem = f"{name}: {type(error).__name__}"
    return JudgedSample(
        request_id=call.request_id,
        at=call.at,
        version=call.version,
        scores=scores,
        grounding=score_grounding(version, answer),
        problem=problem,
    )


def read_answer(version: PromptVersion, call: LoggedCall) -> JudgedAnswer | None:
    """Return a logged answer as judges see it; None where the log does not hold one."""
    try:
        inputs, outputs = parse_json(call.inputs), parse_json(call.outputs)
    except DocumentInvalid:
        return None
    if not isinstance(inputs, dict) or not isinstance(outputs, dict) or not outputs.get("text"):
        return None
    context = tuple(map(str, inputs.get("context", ()))) or version.context
    try:
        values = version.read_values(inputs.get("variables", {}), has_context=bool(context))
    except (ValueError, PromptInvalid):
        return None
    return JudgedAnswer(str(outputs["text"]), values=values, context=context)


def score_grounding(version: PromptVersion, answer: JudgedAnswer) -> float | None:
    """Return an answer's grounding, 0 to 1; None where nothing says what it is grounded in."""
    own = next((item for item in version.eval_criteria if item.type == "grounding"), None)
    if own is None and not answer.context:
        return None
    return score_criterion(own or GROUNDING, answer, ScoringParts()).value
