"""A gateway's replicas, asked over HTTP."""
