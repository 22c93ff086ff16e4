"""A promoted treatment is handed over to a rollout, which moves the traffic in stages."""

from prefect.deployments import run_deployment

from sluice.experiments.record import ExperimentRecord

DEPLOYMENT = "rollout/rollout"


def hand_over(record: ExperimentRecord) -> str:
    """Start the rollout of the treatment, once; return what was done, or what a person can do."""
    service, version = record.service, record.treatment
    command = f"`sluice rollout {service} --version {version}`"
    try:
        run_deployment(
            DEPLOYMENT,
            parameters={"service": service, "version": version},
            timeout=0,
            as_subflow=False,
            idempotency_key=f"experiment-{record.key}",
        )
    except Exception as error:  # not deployed, or the server is away
        reason = (str(error) or type(error).__name__).splitlines()[0]
        return f"no rollout was started ({reason}); next: {command}"
    return f"a rollout of v{version} was started"
