"""Prompts as versions: their files, what is sent to a model, and what its answers are worth.

`chat` has the facts of one call: the request, the reply, the tokens. Adapters of providers, the
evaluation, guardrails and the gateway all speak in them.
"""
