"""Answers that are given again."""

from dataclasses import replace

from serving.llm.answer_cache import AnswerCache
from sluice.prompts.chat import ChatReply, TokenUsage

REPLY = ChatReply("Hi.", "m", "p", TokenUsage(3, 2), "stop", 1.0, cost=0.5)


def test_a_kept_answer_costs_nothing() -> None:
    cache = AnswerCache(10, 5)
    cache.keep("a", REPLY, 0.0)
    found = cache.find("a", 9.9)
    assert found is not None
    assert (found.text, found.cost, found.usage) == ("Hi.", 0.0, TokenUsage(0, 0))
    assert cache.find("b", 1.0) is None


def test_it_is_forgotten_after_its_time() -> None:
    cache = AnswerCache(10, 5)
    cache.keep("a", REPLY, 0.0)
    assert cache.find("a", 10.0) is None


def test_the_one_that_was_not_used_for_longest_goes() -> None:
    cache = AnswerCache(10, 2)
    cache.keep("a", REPLY, 0.0)
    cache.keep("b", REPLY, 0.0)
    cache.find("a", 1.0)
    cache.keep("c", REPLY, 1.0)
    assert [name for name in "abc" if cache.find(name, 2.0)] == ["a", "c"]


def test_off_keeps_nothing_and_a_cut_answer_is_never_kept() -> None:
    off, on = AnswerCache(0, 5), AnswerCache(10, 5)
    off.keep("a", REPLY, 0.0)
    on.keep("a", replace(REPLY, finish_reason="length"), 0.0)
    assert off.find("a", 0.0) is None
    assert on.find("a", 0.0) is None
