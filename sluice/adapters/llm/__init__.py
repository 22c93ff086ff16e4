"""Language models: their providers over HTTP, and a small one in a process of its own.

`client.LanguageModels` is the one interface; evaluation and the gateway use it alike. `metering`
keeps calls within a budget, `reply_cache` keeps replies, `local` has the model of this machine.
"""
