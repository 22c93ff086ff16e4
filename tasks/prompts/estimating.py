"""The estimate of an evaluation before it starts: nothing is asked, kept replies are looked up."""

from collections.abc import Iterator
from datetime import UTC, datetime

from sluice.adapters.control.store import prepare_control
from sluice.adapters.llm.reply_cache import ReplyCache, find_revision
from sluice.adapters.prompt_wishes import find_serving
from sluice.config.llm.loading import load_providers
from sluice.home import PROMPTS, Home, environment_name, find_home
from sluice.prompts.calls.choice import (
    ModelChoice,
    check_request,
    choose_model,
    describe_retirement,
)
from sluice.prompts.calls.pricing import find_price
from sluice.prompts.calls.tokens import bound_input_tokens
from sluice.prompts.chat import ChatReply, ChatRequest, TokenUsage
from sluice.prompts.evaluation.case_scores import describe_answer
from sluice.prompts.evaluation.checks import list_judged
from sluice.prompts.evaluation.estimate import (
    BYTES_A_TOKEN,
    EstimatedPart,
    EvaluationEstimate,
    PlannedCall,
)
from sluice.prompts.evaluation.judges import PromptJudge, load_judge
from sluice.prompts.folder import Prompt, load_prompt
from sluice.prompts.rendering import render_request
from sluice.prompts.version import PromptVersion
from sluice.report.prompts.estimate import describe_estimate, list_parts
from tasks.prompts.judging import explain_silence
from tasks.prompts.version import Tell, VersionUnderRelease

AFTER_THE_GATES = "asked only of a version that passed the gates before it"


class CallPlanner:
    """Plans calls of the models of one environment, beside the replies that are kept."""

    def __init__(self, home: Home, environment: str) -> None:
        self._cache, self.environment = ReplyCache(home.replies), environment
        self._providers, self._today = load_providers(), datetime.now(UTC).date()

    def choose(self, name: str) -> ModelChoice:
        """Return the model that answers for a name that prompts use.

        Raises:
            ConfigInvalid: no such model is known, or the environment refuses it.
            ModelRetired: its provider has retired it.
        """
        return choose_model(self._providers, name, self.environment, self._today)

    def describe_retirement(self, name: str) -> str:
        """Return what is to be said of a model that will be retired soon; empty where none is.

        Raises:
            ConfigInvalid: no such model is known, or the environment refuses it.
            ModelRetired: its provider has retired it.
        """
        return describe_retirement(self.choose(name), self._today)

    def find_kept(self, request: ChatRequest, sample: int) -> ChatReply | None:
        """Return a kept reply that the evaluation takes instead of a call; None without one.

        Raises:
            ConfigInvalid: no such model is known, or the environment refuses it.
            ModelRetired: its provider has retired it.
            ProviderRefused: it is the local model, which is not installed.
        """
        found = self._cache.find(request, sample, find_revision(self.choose(request.model)))
        return found if found and found.usage.is_known else None

    def plan(self, request: ChatRequest, sample: int) -> PlannedCall:
        """Return a call with the most that it can use, or what its kept reply used.

        Raises:
            PromptInvalid: the model cannot do what the request asks for; and what `find_kept`
                raises.
        """
        choice = self.choose(request.model)
        check_request(choice, request)
        most, kept = bound_input_tokens(request), self.find_kept(request, sample)
        cost = find_price(choice).bound(request)
        if kept is None:
            return PlannedCall(most, request.max_tokens, cost)
        usage = kept.usage
        used = (usage.input or 0) + usage.cache_read + usage.cache_write
        return PlannedCall(most, request.max_tokens, cost, True, used, usage.output, kept.seconds)

    def make_part(
        self, name: str, model: str, calls: list[PlannedCall], condition: str = ""
    ) -> EstimatedPart:
        """Return a part of an evaluation that a model answers, by the name that prompts use."""
        choice = self.choose(model)
        at_a_time = choice.provider.concurrency
        return EstimatedPart(name, choice.name, tuple(calls), at_a_time, condition)


def estimate_version(
    found: Prompt, version: int, active: int | None, home: Home, environment: str
) -> EvaluationEstimate:
    """Return what the evaluation of a version will take, beside the one that serves.

    Raises:
        PromptInvalid: a file is not valid, or a model cannot do what a version asks for.
        ConfigInvalid: a model is not known, or the environment refuses it.
        ModelRetired: a provider has retired a model.
        ProviderRefused: the local model answers and is not installed.
    """
    planner = CallPlanner(home, environment)
    versions = {version: f"v{version}"}
    if active is not None and active != version:
        versions[active] = f"v{active}, which serves"
    parts = []
    for number, name in versions.items():
        parts += _estimate_cases(planner, found, found.find_version(number), name)
    if found.bias_set and found.bias_set.cases:
        parts.append(_estimate_bias(planner, found, found.find_version(version)))
    limits = found.limits.gates_of(environment)
    return EvaluationEstimate(found.name, version, limits.spend, tuple(parts))


def estimate_now(prompt: str, version: int) -> EvaluationEstimate:
    """Return what the evaluation of a version will take here and now.

    Raises:
        Fault: the control store cannot be reached; and what `estimate_version` raises.
    """
    found, active = load_prompt(prompt), find_serving(prepare_control(), prompt)
    return estimate_version(found, version, active, find_home(), environment_name())


def announce_estimate(given: VersionUnderRelease, found: Prompt, tell: Tell) -> None:
    """Say what the evaluation will take, before a model is asked, and which model retires soon.

    Raises:
        ConfigInvalid: a model is not known, or the environment refuses it; and what
            `estimate_version` raises.
    """
    planner = CallPlanner(find_home(), given.environment)
    if notice := planner.describe_retirement(found.find_version(given.version).model):
        tell(notice)
    estimate = estimate_version(found, given.version, given.active, find_home(), given.environment)
    for line in describe_estimate(estimate):
        tell(line)
    for row in list_parts(estimate):
        tell(
            f"{row['part']}: {row['calls']} calls, {row['kept']} of them kept, about "
            f"{row['tokens, about']} tokens, time about: {row['time, about']}"
        )


def _estimate_cases(
    planner: CallPlanner, found: Prompt, version: PromptVersion, name: str
) -> list[EstimatedPart]:
    """Return the parts of a version's cases: its own calls, and those of each judge."""
    calls, judged = list[PlannedCall](), dict[str, list[PlannedCall]]()
    judges = dict[str, PromptJudge]()
    for case in found.eval_set.cases:
        request = render_request(version, case.input, case.context)
        names = [item.judge_name for item in list_judged(version, case) if item.judge_name]
        for sample in range(version.repeated):
            calls.append(planner.plan(request, sample))
            if not names:
                continue
            reply = planner.find_kept(request, sample) or _assume_reply(request)
            answer = describe_answer(version, case, reply)
            for judge in names:
                if judge not in judges:
                    judges[judge] = load_judge(judge, PROMPTS)
                if explain_silence(judges[judge], planner.environment):
                    continue
                texts = (answer.source, answer.text, answer.reference or "")
                asked = judges[judge].make_request(*texts)
                judged.setdefault(judge, []).append(planner.plan(asked, sample))
    parts = [planner.make_part(name, version.model, calls)]
    for judge, own in judged.items():
        parts.append(planner.make_part(f"{name}: {judge}", judges[judge].version.model, own))
    return parts


def _estimate_bias(planner: CallPlanner, found: Prompt, version: PromptVersion) -> EstimatedPart:
    calls = list(_plan_bias(planner, found, version))
    return planner.make_part("bias set", version.model, calls, AFTER_THE_GATES)


def _plan_bias(
    planner: CallPlanner, found: Prompt, version: PromptVersion
) -> Iterator[PlannedCall]:
    for case in found.bias_set.cases if found.bias_set else ():
        for group in case.groups:
            yield planner.plan(render_request(version, case.exchange(group)), 0)


def _assume_reply(request: ChatRequest) -> ChatReply:
    """Return an answer as long as it may be in English prose, of which only the length is used."""
    return ChatReply(
        text="x" * (BYTES_A_TOKEN * request.max_tokens),
        model="",
        provider="",
        usage=TokenUsage(),
        finish_reason="length",
        seconds=0.0,
    )
