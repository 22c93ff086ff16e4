"""The most tokens that a request can have as input, without a tokenizer."""

import json

from sluice.prompts.chat import ChatRequest

OF_A_TURN = 16
"""Tokens that mark the begin, the role and the end of a turn."""
OF_A_REQUEST = 64
OF_TOOLS = 1024
"""Tokens that a provider adds to explain to a model how it calls tools."""


def bound_input_tokens(request: ChatRequest) -> int:
    """Return a number of tokens that a request's input does not exceed.

    A tokenizer that works on bytes has at most one token per byte of UTF-8, and all models of
    today do. English prose has about four bytes per token, so the bound is about four times the
    real number.
    """
    texts = [request.system or "", *(turn.content for turn in request.messages)]
    for turn in request.messages:
        texts += [call.name + call.arguments + call.id for call in turn.tool_calls]
        texts += [result.call_id + result.content for result in turn.tool_results]
    marks, extra = OF_A_TURN * len(texts) + OF_A_REQUEST, 0
    if request.tools or request.output_schema is not None:
        schema = {"tools": [_plain(tool) for tool in request.tools], "out": request.output_schema}
        texts.append(json.dumps(schema, default=dict))
        extra = OF_TOOLS
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) + marks + extra


def _plain(tool: object) -> dict[str, object]:
    return dict(vars(tool))
