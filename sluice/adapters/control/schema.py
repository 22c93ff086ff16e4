"""The control store's tables as the code uses them; `migrations` has the steps that make them."""

from sqlalchemy import BigInteger, Column, Double, Float, Integer, MetaData, Table, Text

METADATA = MetaData()

STEPS = Table(
    "schema_steps",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("name", Text, nullable=False),
)
LEASES = Table(
    "leases",
    METADATA,
    Column("service", Text, primary_key=True),
    Column("purpose", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("ttl", Float, nullable=False),
    Column("renewal", Integer, nullable=False),
)
CAUSES = Table(
    "causes",
    METADATA,
    Column("sequence", Integer, primary_key=True),
    Column("service", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("flow_run", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("lease_epoch", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
)
APPROVALS = Table(
    "approvals",
    METADATA,
    Column("sequence", Integer, primary_key=True),
    Column("service", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("verdict_digest", Text, nullable=False),
    Column("deadline", Text, nullable=False),
    Column("answer", Text, nullable=False),
)
DECISIONS = Table(
    "decisions",
    METADATA,
    Column("sequence", Integer, primary_key=True),
    Column("service", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("verdict_digest", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("decided_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("origin", Text, nullable=False),
)
WATERMARKS = Table(
    "watermarks",
    METADATA,
    Column("service", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("mark", Text, nullable=False),
    Column("announced", Text, nullable=False),
)
ROUTES = Table(
    "routes",
    METADATA,
    Column("service", Text, primary_key=True),
    Column("champion", Integer, nullable=False),
    Column("candidate", Integer),
    Column("weight", Double, nullable=False),
    Column("stage_weights", Text, nullable=False),
    Column("shadow_share", Double, nullable=False),
    Column("salt", Text, nullable=False),
    Column("assign_by", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("arm_timeout_ms", Double, nullable=False),
    Column("candidate_concurrency", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("ttl", Double, nullable=False),
    Column("renewal", BigInteger, nullable=False),
    Column("tolerance", Double, nullable=False),
    Column("value_cap", Double, nullable=False),
)
ROLLOUTS = Table(
    "rollouts",
    METADATA,
    Column("service", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("champion", Integer, nullable=False),
    Column("candidate", Integer, nullable=False),
    Column("policy", Text, nullable=False),
    Column("policy_hash", Text, nullable=False),
    Column("terms", Text, nullable=False),
    Column("salt", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("readings", Text, nullable=False),
    Column("tick", Integer, nullable=False),
    Column("opened", Text, nullable=False),
    Column("ended", Text, nullable=False),
    Column("settled", Integer, nullable=False),
)
ROLLOUT_LOG = Table(
    "rollout_log",
    METADATA,
    Column("service", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("tick", Integer, primary_key=True),
    Column("at", Text, nullable=False),
    Column("record", Text, nullable=False),
)
COMMANDS = Table(
    "commands",
    METADATA,
    Column("sequence", Integer, primary_key=True),
    Column("service", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("action", Text, nullable=False),
    Column("given_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("origin", Text, nullable=False),
)
TIMELINE = Table(
    "timeline",
    METADATA,
    Column("sequence", Integer, primary_key=True),
    Column("service", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("version", Integer),
    Column("previous", Integer),
    Column("given_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("message", Text, nullable=False),
)
GATE_EXCEPTIONS = Table(
    "gate_exceptions",
    METADATA,
    Column("sequence", Integer, primary_key=True),
    Column("service", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("given_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Text, nullable=False),
)
