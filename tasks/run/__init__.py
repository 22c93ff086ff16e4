"""How anything of Sluice runs on Prefect: decorators, names, state, events, artifacts, forms."""
