"""Providers of a promptfoo configuration: the model of the versions, and its parameters."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sluice.prompts.importing.sources import FILE, Notes, Place, to_text

VENDORS = {
    "openai", "anthropic", "google", "vertex", "mistral", "ollama", "groq", "cohere", "azure",
    "azureopenai", "bedrock", "replicate", "huggingface", "openrouter", "together", "deepseek",
    "xai", "palm", "fireworks", "perplexity", "cerebras", "adaline", "togetherai", "llama",
    "cloudflare-ai", "databricks", "github", "aimlapi", "litellm", "vllm", "localai",
}  # fmt: skip
MODES = {"chat", "completion", "messages", "responses", "text", "embedding", "embeddings", "models"}
MOST_TOKENS = ("max_tokens", "maxTokens", "max_completion_tokens", "max_output_tokens")
ANSWER_TOKENS = 1024
"""Most tokens of an answer, where a configuration does not say."""


@dataclass
class ImportedModel:
    """A model with its parameters, as a version has them."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)


def read_model(providers: Any, given: str, notes: Notes) -> ImportedModel | None:
    """Return the model of the first provider, or the given one; None where none is named."""
    items = providers if isinstance(providers, list) else [providers] if providers else []
    named = [_read_provider(item) for item in items]
    for number, (name, _) in enumerate(named[1:], 2):
        notes.add(f"provider {number}", f"{name}: a version has one model; make a version for it")
    name, config = named[0] if named else ("", {})
    model = given or find_model_name(name)
    if not model:
        return None
    if given and name:
        notes.add("provider 1", f"{name}: replaced by {given}")
    elif model != name:
        notes.add("provider 1", f"{name}: read as the model {model}; providers are chosen apart")
    return ImportedModel(model, _read_parameters(config, notes))


def _read_provider(item: Any) -> tuple[str, Mapping[str, Any]]:
    if isinstance(item, str):
        return item, {}
    if isinstance(item, Mapping) and "id" in item:
        config = item.get("config")
        others = {key: value for key, value in item.items() if key not in ("id", "config")}
        return str(item["id"]), {**(config if isinstance(config, Mapping) else {}), **others}
    if isinstance(item, Mapping) and len(item) == 1:
        name, inner = next(iter(item.items()))
        return _read_provider({"id": name, **(_without_id(inner) if inner else {})})
    return to_text(item)[:80], {}


def _without_id(inner: Any) -> dict[str, Any]:
    values = dict(inner) if isinstance(inner, Mapping) else {}
    return {key: value for key, value in values.items() if key != "id"}


def find_model_name(provider: str) -> str:
    """Return the model that a provider's name has, empty where it is code or an address."""
    if provider.startswith((FILE, "http", "python:", "exec:", "ws", "webhook", "golang:", "ruby:")):
        return ""
    parts = provider.split(":")
    while len(parts) > 1 and (parts[0] in VENDORS or parts[0] in MODES):
        parts.pop(0)
    name = ":".join(parts)
    return name if re.fullmatch(r"[\w./:@-]{1,128}", name) and name not in VENDORS else ""


def _read_parameters(config: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in config.items():
        place: Place = "provider 1"
        if key == "temperature" and isinstance(value, int | float):
            values["temperature"] = value
        elif key in MOST_TOKENS and isinstance(value, int):
            values["max_tokens"] = value
        elif key == "tools" and (tools := _read_tools(value)):
            values["tools"] = tools
        elif key == "response_format" and (schema := _read_format(value)):
            values["output_schema"] = schema
        else:
            words = f"`{key}: {to_text(value)[:80]}` has no counterpart and is left out"
            notes.add(place, words)
    if "max_tokens" not in values:
        values["max_tokens"] = ANSWER_TOKENS
        notes.add("", f"max_tokens: not stated, {ANSWER_TOKENS} is written into the version")
    return values


def _read_tools(tools: Any) -> list[dict[str, Any]] | None:
    """Return tools of either dialect, None where they cannot be read."""
    found = []
    for tool in tools if isinstance(tools, list) else []:
        inner = tool.get("function", tool) if isinstance(tool, Mapping) else {}
        schema = inner.get("parameters") or inner.get("input_schema")
        if not isinstance(schema, Mapping) or not inner.get("name"):
            return None
        description = str(inner.get("description") or inner["name"])
        found.append(
            {"name": inner["name"], "description": description, "parameters": dict(schema)}
        )
    return found or None


def _read_format(value: Any) -> dict[str, Any] | None:
    inner = value.get("json_schema") if isinstance(value, Mapping) else None
    schema = inner.get("schema") if isinstance(inner, Mapping) else None
    return dict(schema) if isinstance(schema, Mapping) else None
