"""The OpenAPI 3.1 description of the gateway, made from the signatures that serve now."""

from typing import Any

from serving.http.requests import MAX_CHARACTERS
from serving.models.signature import MAX_RECORDS
from serving.routing.model_table import ModelEntry, ModelTable, PromptEntry
from sluice.config.serving import GatewayConfig

NAME = {"type": "string", "minLength": 1, "maxLength": MAX_CHARACTERS}
ERROR = {
    "type": "object",
    "properties": {"error": {"type": "string"}, "request_id": {"type": "string"}},
    "required": ["error"],
}
PREDICTION = {
    "type": "object",
    "properties": {
        "prediction": {"type": ["string", "number", "boolean"]},
        "probabilities": {"type": "object", "additionalProperties": {"type": "number"}},
    },
    "required": ["prediction"],
}
ANSWER = {
    "type": "object",
    "properties": {
        "request_id": NAME,
        "unit": NAME,
        "service": {"type": "string"},
        "version": {"type": "integer"},
        "arm": {"enum": ["candidate", "champion", "none"]},
        "backend": {"enum": ["onnx", "sklearn"]},
        "fallback": {"type": "boolean"},
        "outputs": {"anyOf": [PREDICTION, {"type": "array", "items": PREDICTION}]},
    },
    "required": ["request_id", "service", "version", "arm", "backend", "outputs"],
}
TEXTS = {
    400: "A guardrail holds the request back.",
    401: "No API key, an unknown one, or one of another service; the message says which.",
    403: "A host that is not allowed, or a page of another site.",
    404: "No such path, or no such service.",
    405: "Another method; the header Allow names the right one.",
    408: "The body did not come in time.",
    409: "No candidate is loaded.",
    413: "The body is too large.",
    415: "The content type is not JSON, or the body is compressed (content-encoding).",
    429: "A budget has no room.",
    431: "The headers are too large.",
    422: "The body is not allowed; the message names the field.",
    500: "The champion failed; logged as its failure.",
    502: "No language model answers; the message has the provider's words.",
    503: "Not now; the header Retry-After says when.",
}
COMMON = (403, 404, 405, 408, 413, 415, 422, 431, 503)


def describe_api(table: ModelTable, config: GatewayConfig, has_keys: bool) -> dict[str, Any]:
    """Return the description of all paths."""
    paths = {
        f"/v1/models/{name}:predict": {"post": _describe_predict(entry, has_keys)}
        for name, entry in sorted(table.entries.items())
        if entry.champion
    }
    paths |= {
        f"/v1/models/{name}:smoke": {"get": _describe_smoke(name, has_keys)}
        for name in sorted([*table.entries, *table.prompts])
    }
    paths |= {
        f"/v1/prompts/{name}": {"post": _describe_prompt(entry, has_keys)}
        for name, entry in sorted(table.prompts.items())
        if entry.champion
    }
    paths["/v1/feedback"] = {"post": _describe_feedback(has_keys)}
    paths.update({path: {"get": page} for path, page in _describe_pages().items()})
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Sluice gateway",
            "version": "1",
            "description": f"JSON bodies of at most {config.limits.body_bytes:,} bytes, UTF-8, not "
            "compressed.",
        },
        "paths": paths,
    }
    if has_keys:
        schemes = {"key": {"type": "http", "scheme": "bearer"}}
        described["components"] = {"securitySchemes": schemes}
    return described


def _describe_predict(entry: ModelEntry, has_keys: bool) -> dict[str, Any]:
    record = entry.champion.model.signature.describe() if entry.champion else {}
    many = {"type": "array", "items": record, "minItems": 1, "maxItems": MAX_RECORDS}
    body = {
        "type": "object",
        "properties": {"inputs": {"anyOf": [record, many]}, "request_id": _null(), "unit": _null()},
        "required": ["inputs"],
        "additionalProperties": False,
    }
    statuses = (*COMMON, 500)
    return _describe_post(f"predict_{entry.service}", body, (200, ANSWER), statuses, has_keys)


def _describe_prompt(entry: PromptEntry, has_keys: bool) -> dict[str, Any]:
    text = {"type": "string"}
    names = list(entry.champion.prompt.placeholders) if entry.champion else []
    variables = {
        "type": "object",
        "properties": dict.fromkeys(names, text),
        "additionalProperties": False,
    }
    body = {
        "type": "object",
        "properties": {
            "variables": {"anyOf": [variables, text]},
            "context": {"type": "array", "items": text},
            "stream": {"type": "boolean"},
            "request_id": _null(),
            "unit": _null(),
        },
        "additionalProperties": False,
    }
    statuses = (*COMMON, 400, 429, 500, 502)
    good = (200, {"type": "object", "required": ["request_id", "service", "version", "text"]})
    return _describe_post(f"prompt_{entry.service}", body, good, statuses, has_keys)


def _describe_smoke(service: str, has_keys: bool) -> dict[str, Any]:
    good = {"200": {"description": "The result.", "content": _json({"type": "object"})}}
    others = (403, 404, 405, 409, 503, *([401] if has_keys else []))
    errors = {
        str(status): {"description": TEXTS[status], "content": _json(ERROR)} for status in others
    }
    described = {"operationId": f"smoke_{service}", "responses": {**good, **errors}}
    return {**described, "security": [{"key": []}]} if has_keys else described


def _describe_feedback(has_keys: bool) -> dict[str, Any]:
    label = {
        "anyOf": [{"type": "string", "maxLength": 1000}, {"type": ["number", "boolean", "null"]}]
    }
    parts = {
        "label": label,
        "rating": {"type": ["number", "null"], "minimum": -1, "maximum": 1},
        "value": {"type": ["number", "null"]},
    }
    body = {
        "type": "object",
        "properties": {"request_id": NAME, "service": _null(), **parts},
        "required": ["request_id"],
        "anyOf": [
            {"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in parts
        ],
        "additionalProperties": False,
    }
    accepted = {
        "type": "object",
        "properties": {"request_id": NAME, "accepted": {"const": True}},
        "required": ["request_id", "accepted"],
    }
    return _describe_post("feedback", body, (202, accepted), COMMON, has_keys)


def _describe_post(
    name: str,
    body: dict[str, Any],
    good: tuple[int, dict[str, Any]],
    statuses: tuple[int, ...],
    has_keys: bool,
) -> dict[str, Any]:
    status, schema = good
    responses = {str(status): {"description": "Accepted.", "content": _json(schema)}}
    for other in (*statuses, *([401] if has_keys else [])):
        responses[str(other)] = {"description": TEXTS[other], "content": _json(ERROR)}
    responses["503"]["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    described = {
        "operationId": name,
        "requestBody": {"required": True, "content": _json(body)},
        "responses": responses,
    }
    return {**described, "security": [{"key": []}]} if has_keys else described


def _describe_pages() -> dict[str, dict[str, Any]]:
    good = {"200": {"description": "The current state.", "content": _json({"type": "object"})}}
    bad = {"503": {"description": "Not ready.", "content": _json({"type": "object"})}}
    text = {"200": {"description": "The current state.", "content": {"text/plain": {}}}}
    return {
        "/healthz": {"operationId": "healthz", "responses": good},
        "/readyz": {"operationId": "readyz", "responses": {**good, **bad}},
        "/metrics": {"operationId": "metrics", "responses": text},
        "/v1/counters": {"operationId": "counters", "responses": good},
        "/openapi.json": {"operationId": "openapi", "responses": good},
    }


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _null() -> dict[str, Any]:
    return {"anyOf": [NAME, {"type": "null"}]}
