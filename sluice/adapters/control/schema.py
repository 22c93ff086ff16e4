"""The control store's tables as the code sees them; the steps that made them are migrations."""

from sqlalchemy import Column, Float, Integer, MetaData, Table, Text

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
    Column("why", Text, nullable=False),
    Column("at", Text, nullable=False),
)
WATERMARKS = Table(
    "watermarks",
    METADATA,
    Column("service", Text, primary_key=True),
    Column("what", Text, primary_key=True),
    Column("mark", Text, nullable=False),
    Column("announced", Text, nullable=False),
)
