"""Apply deployments.yaml to a Prefect server: deployments, triggers, notifications."""
