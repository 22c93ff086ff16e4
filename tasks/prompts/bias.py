"""The bias of a prompt's texts: the same inputs with the groups of people exchanged."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sluice.errors import SluiceError
from sluice.gates.prompts.bias import TextBiasGate, find_limits
from sluice.home import find_home
from sluice.prompts.bias_set import BiasCase, BiasSet
from sluice.prompts.evaluation.tone import measure_tone
from sluice.prompts.folder import Prompt
from sluice.prompts.rendering import render_request
from sluice.prompts.scorers.safety import is_refusal
from sluice.prompts.version import PromptVersion
from sluice.stats.prompts.text_bias import (
    GroupAnswers,
    TextBiasEvidence,
    TextBiasLimits,
    measure_text_bias,
)
from sluice.verdict import Verdict
from tasks.prompts.asking import AskingScope, open_asker
from tasks.prompts.evaluation import AT_A_TIME, Asker, Report
from tasks.prompts.version import EvaluationReporter, VersionUnderRelease, make_report

LABEL_TYPES = ("label", "exact")
"""Types of criteria of a prompt whose answer is a label."""
SHOWN = 3


@dataclass(frozen=True)
class GroupTexts:
    """The answers to the cases of one attribute, by group in the order of the cases.

    `failures` says which cases have no answer, one sentence each.
    """

    texts: Mapping[str, Sequence[str]]
    failures: tuple[str, ...] = ()


def audit_texts(
    given: VersionUnderRelease,
    found: Prompt,
    verdicts: Sequence[Verdict],
    reporter: EvaluationReporter,
) -> tuple[Verdict, ...]:
    """Ask every case of the bias set once a group; return a verdict an attribute of people.

    A prompt without a bias set gets one verdict, which `on_missing` decides. After a verdict that
    halts nothing is asked, and there is none.

    Raises:
        PromptInvalid: a file is not valid.
        ConfigInvalid: the model is not known, or its price is not.
        Fault: the control store cannot be reached.
    """
    if not all(verdict.passed for verdict in verdicts):
        return ()
    limits = found.limits.gates_of(given.environment)
    if found.bias_set is None or not found.bias_set.cases:
        return (TextBiasGate(limits.bias).judge_absence(),)
    version, cases = found.find_version(given.version), found.bias_set

    async def ask() -> dict[str, GroupTexts]:
        report = make_report("bias set", reporter.tell)
        async with open_asker(
            find_home(), given.environment, given.run, limits.spend, AskingScope(given.prompt)
        ) as asker:
            texts = await ask_groups(asker, version, cases, report)
            asker.notes.publish(given.prompt, given.version, reporter.notify)
            return texts

    found_by = []
    for attribute, texts in asyncio.run(ask()).items():
        evidence = measure_groups(version, texts, find_limits(limits.bias))
        verdict = TextBiasGate(limits.bias).judge(evidence)
        found_by.append(replace(verdict, reason=f"{attribute}: {verdict.reason}"))
    return tuple(found_by)


async def ask_groups(
    asker: Asker, version: PromptVersion, cases: BiasSet, report: Report
) -> dict[str, GroupTexts]:
    """Return the answers by attribute; each case is asked once a group."""
    places, done = asyncio.Semaphore(AT_A_TIME), 0
    asked = [(line, case, group) for line, case in cases.rows.items() for group in case.groups]

    async def ask(line: int, case: BiasCase, group: str) -> str | SluiceError:
        nonlocal done
        try:
            async with places:
                request = render_request(version, case.exchange(group))
                return (await asker.ask(request, 0)).reply.text
        except SluiceError as error:
            return error
        finally:
            done += 1
            report(done, len(asked))

    answers = await asyncio.gather(*(ask(*one) for one in asked))
    found: dict[str, dict[str, list[str]]] = {}
    failures: dict[str, list[str]] = {}
    for (line, case, group), answer in zip(asked, answers, strict=True):
        groups = found.setdefault(case.attribute, {})
        groups.setdefault(group, []).append("" if isinstance(answer, SluiceError) else answer)
        if isinstance(answer, SluiceError):
            failures.setdefault(case.attribute, []).append(f"line {line}, {group}: {answer}")
    return {
        name: GroupTexts(groups, tuple(failures.get(name, ()))) for name, groups in found.items()
    }


def measure_groups(
    version: PromptVersion, answers: GroupTexts, limits: TextBiasLimits
) -> TextBiasEvidence:
    """Return the evidence of one attribute; an answer that is missing leaves nothing decided."""
    cases = len(next(iter(answers.texts.values())))
    if answers.failures:
        named = "; ".join(answers.failures[:SHOWN])
        more = len(answers.failures) - SHOWN
        words = f"{named}{f'; and {more:,} more' if more > 0 else ''}"
        text = f"{len(answers.failures):,} answers are missing: {words}"
        return TextBiasEvidence(cases, missing=(text,))
    has_labels = any(item.type in LABEL_TYPES for item in version.eval_criteria)
    groups = [_describe_group(name, texts, has_labels) for name, texts in answers.texts.items()]
    return measure_text_bias(groups, limits)


def _describe_group(name: str, texts: Sequence[str], has_labels: bool) -> GroupAnswers:
    labels = np.array([text.strip().casefold() for text in texts], dtype=object)
    return GroupAnswers(
        name,
        np.array([float(len(text)) for text in texts]),
        np.array([is_refusal(text) for text in texts]),
        np.array([measure_tone(text) for text in texts]),
        labels if has_labels else None,
    )
