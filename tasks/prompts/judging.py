"""The proof of a judge: it grades the answers that people graded, and agreement is measured."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sluice.adapters.storage import explain_os_error, write_whole
from sluice.config.llm.loading import load_providers
from sluice.errors import (
    ConfigInvalid,
    EvidenceInsufficient,
    ModelRetired,
    PromptInvalid,
    SluiceError,
)
from sluice.gates.prompts.judge import FEWEST_LABELS, JudgeStanding, decide_standing
from sluice.home import PROMPTS, Home
from sluice.prompts.calls.choice import FILE, ModelChoice, choose_model
from sluice.prompts.evaluation.judges import (
    LABELS,
    PROOF,
    JudgeProof,
    LabelledAnswer,
    PromptJudge,
    load_judge,
)
from sluice.stats.bootstrap import Estimate
from sluice.stats.prompts.agreement import bound_kappa
from tasks.prompts.asking import open_asker
from tasks.prompts.evaluation import AT_A_TIME, Asker

SHOWN = 3
"""Labels without a grade, and reasons for it, that a message names."""


@dataclass(frozen=True)
class ProvedJudge:
    """A judge's proof, where it was written, and whether the judge gates with it."""

    proof: JudgeProof
    path: Path
    standing: JudgeStanding


def prove_judge(
    name: str, home: Home, environment: str, spend: float, root: Path = PROMPTS
) -> ProvedJudge:
    """Ask a judge about each of its labels, and write its agreement with people beside them.

    `spend` is the most that it may cost, in US dollars. Grades that are kept from an earlier call
    cost nothing.

    Raises:
        PromptInvalid: the judge's files are not valid, or it has fewer than 100 labels.
        EvidenceInsufficient: a label was not asked about; an earlier proof stays as it was.
        ConfigInvalid: the model is not known, or its price is not, or it is the embedded one.
        ModelRetired: the provider has retired the model.
        Fault: the control store cannot be reached, or the proof cannot be written.
    """
    judge = load_judge(name, root)
    if len(judge.labels) < FEWEST_LABELS:
        raise PromptInvalid(
            f"{judge.folder / LABELS}: found {len(judge.labels):,} labels; allowed: {FEWEST_LABELS}"
            " or more; next: write one answer a line with the grade that people gave it, such as "
            '{"input": "...", "answer": "...", "grade": "..."}'
        )
    choice, began = find_model(judge, environment), datetime.now(UTC)
    if choice.is_embedded:
        raise ConfigInvalid(_refuse_embedded(judge, choice, environment))
    run = f"judge-{name}-{began:%Y%m%dT%H%M%S%f}"

    async def ask() -> list[str | SluiceError]:
        async with open_asker(home, environment, run, spend) as asker:
            asker.describe_model(judge.version.model)
            return await ask_labels(asker, judge)

    proof = measure_agreement(judge, asyncio.run(ask()), choice.exact, began)
    path = judge.folder / PROOF
    try:
        write_whole({path: proof.to_json()}, mode=0o644)
    except OSError as error:
        raise explain_os_error(error, str(path)) from error
    return ProvedJudge(proof, path, decide_proof(proof))


def find_model(judge: PromptJudge, environment: str) -> ModelChoice:
    """Return the model that grades in an environment.

    Raises:
        ConfigInvalid: no such model is known, or the environment refuses it.
        ModelRetired: its provider has retired it.
    """
    today = datetime.now(UTC).date()
    return choose_model(load_providers(), judge.version.model, environment, today)


def _refuse_embedded(judge: PromptJudge, choice: ModelChoice, environment: str) -> str:
    return (
        f"the judge {judge.name}: in {environment} {choice.describe()} would grade, the embedded "
        f"one, which never judges: it hardly follows an instruction; next: name a model of another "
        f"provider in environments.{environment} of {FILE}, or in a new version of the judge"
    )


async def ask_labels(asker: Asker, judge: PromptJudge) -> list[str | SluiceError]:
    """Return the judge's reply to each label, in their order, or why there is none."""
    places = asyncio.Semaphore(AT_A_TIME)

    async def ask(label: LabelledAnswer) -> str | SluiceError:
        request = judge.make_request(label.input, label.answer, label.reference)
        async with places:
            try:
                return (await asker.ask(request, 0)).reply.text
            except SluiceError as error:
                return error

    return await asyncio.gather(*(ask(label) for label in judge.labels))


def measure_agreement(
    judge: PromptJudge, replies: Sequence[str | SluiceError], model: str, proved: datetime
) -> JudgeProof:
    """Return the proof that a judge's replies to its labels give.

    A reply without a grade counts as not run.

    Raises:
        EvidenceInsufficient: a label has no reply.
    """
    failed = {n: reply for n, reply in enumerate(replies, 1) if isinstance(reply, SluiceError)}
    if failed:
        raise EvidenceInsufficient(_describe_failures(judge, failed))
    pairs = [
        (grade, label.grade)
        for reply, label in zip(replies, judge.labels, strict=True)
        if (grade := _read_grade(judge, str(reply))) is not None
    ]
    kappa = bound_kappa(
        [grade for grade, _ in pairs],
        [label for _, label in pairs],
        list(judge.file.grades),
        judge.file.weighting,
    )
    return JudgeProof(
        version=judge.version.version,
        identity=judge.version.identity,
        labels=judge.labels_identity,
        model=model,
        kappa=kappa.value,
        lower=kappa.low,
        upper=kappa.high,
        n=len(pairs),
        not_run=len(replies) - len(pairs),
        proved=proved.isoformat(timespec="seconds"),
    )


def decide_proof(proof: JudgeProof) -> JudgeStanding:
    """Return whether a judge with this proof gates, with the reason in one sentence."""
    if proof.not_run:
        words = f"{proof.not_run:,} of {proof.n + proof.not_run:,} replies give no grade"
        return JudgeStanding(False, f"{words}; next: tell the judge to reply with the grade alone")
    return decide_standing(Estimate(proof.kappa, proof.lower, proof.upper, proof.n))


def explain_silence(judge: PromptJudge, environment: str) -> str:
    """Return why a judge cannot be asked at all; empty where it can."""
    try:
        choice = find_model(judge, environment)
    except (ConfigInvalid, ModelRetired) as error:
        return f"the judge {judge.name}: {error}"
    return _refuse_embedded(judge, choice, environment) if choice.is_embedded else ""


def explain_standing(judge: PromptJudge, environment: str) -> str:
    """Return why a judge decides nothing; empty where its agreement with people is proved."""
    if silence := explain_silence(judge, environment):
        return silence
    missing = judge.explain_missing_proof(find_model(judge, environment).exact)
    if missing or judge.proof is None:
        return missing or f"the judge {judge.name} has no proof"
    standing = decide_proof(judge.proof)
    return "" if standing.gates else f"the judge {judge.name}: {standing.reason}"


def _read_grade(judge: PromptJudge, reply: str) -> str | None:
    try:
        return judge.read_grade(reply)
    except ValueError:
        return None


def _describe_failures(judge: PromptJudge, failed: Mapping[int, SluiceError]) -> str:
    """Return which labels have no reply, those of one reason together, and what to do."""
    reasons: dict[str, list[int]] = {}
    for number, error in failed.items():
        reasons.setdefault(str(error), []).append(number)
    parts = {reason: reason.partition("; next: ") for reason in reasons}
    named = "; ".join(
        f"{_name_labels(numbers)}: {parts[reason][0]}"
        for reason, numbers in list(reasons.items())[:SHOWN]
    )
    more = f"; and {len(reasons) - SHOWN:,} more reasons" if len(reasons) > SHOWN else ""
    advices = {advice for _, _, advice in parts.values() if advice}
    first = f"{advices.pop()}, then " if len(advices) == 1 else ""
    return (
        f"{len(failed):,} of {len(judge.labels):,} labels have no reply: {named}{more}; no proof "
        f"was written; next: {first}`sluice prompt prove-judge {judge.name}`: what was graded "
        "costs nothing"
    )


def _name_labels(numbers: Sequence[int]) -> str:
    shown = ", ".join(str(number) for number in numbers[:SHOWN])
    rest = f" and {len(numbers) - SHOWN:,} more" if len(numbers) > SHOWN else ""
    return f"{'label' if len(numbers) == 1 else 'labels'} {shown}{rest}"
