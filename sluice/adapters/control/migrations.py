"""Migrations of the control store's schema: numbered steps that never change.

A new step is appended with the next number. A published step is not edited.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection, inspect, select, text

from sluice.adapters.control.database import Database, translate_faults
from sluice.adapters.control.schema import STEPS
from sluice.adapters.storage import hold_lock
from sluice.errors import ControlUnavailable, ControlUnusable

LOCK_SECONDS = 10.0
LOCK_KEY = 5_107_110  # any number that no other program locks in this Postgres database
IDENTITY = {
    "sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "postgresql": "INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
}


def freeze_table(table: str) -> Mapping[str, tuple[str, ...]]:
    """Return the triggers that make a table append-only, by dialect."""
    return {
        "sqlite": (
            f"""CREATE TRIGGER {table}_never_change BEFORE UPDATE ON {table}
        BEGIN SELECT RAISE(ABORT, '{table} are only appended'); END""",
            f"""CREATE TRIGGER {table}_never_go BEFORE DELETE ON {table}
        BEGIN SELECT RAISE(ABORT, '{table} are only appended'); END""",
        ),
        "postgresql": (
            f"""CREATE FUNCTION keep_{table}() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION '{table} are only appended'; END $$""",
            f"""CREATE TRIGGER {table}_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
        FOR EACH STATEMENT EXECUTE FUNCTION keep_{table}()""",
        ),
    }


@dataclass(frozen=True)
class Step:
    """One change of the schema; `{identity}` stands for the dialect's auto-numbered key."""

    number: int
    name: str
    statements: tuple[str, ...]
    by_dialect: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Statements of one dialect only, executed last."""


MIGRATIONS = (
    Step(
        1,
        "leases and causes",
        (
            """CREATE TABLE leases (
            service TEXT NOT NULL, purpose TEXT NOT NULL, holder TEXT NOT NULL,
            epoch INTEGER NOT NULL, ttl FLOAT NOT NULL, renewal INTEGER NOT NULL,
            PRIMARY KEY (service, purpose))""",
            """CREATE TABLE causes (
            sequence {identity}, service TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,
            flow_run TEXT NOT NULL, purpose TEXT NOT NULL, lease_epoch INTEGER NOT NULL,
            outcome TEXT NOT NULL, UNIQUE (service, kind, key))""",
        ),
    ),
    Step(
        2,
        "approvals and decisions",
        (
            """CREATE TABLE approvals (
            sequence {identity}, service TEXT NOT NULL, version INTEGER NOT NULL,
            verdict_digest TEXT NOT NULL, deadline TEXT NOT NULL, answer TEXT NOT NULL,
            UNIQUE (service, version, verdict_digest))""",
            """CREATE TABLE decisions (
            sequence {identity}, service TEXT NOT NULL, version INTEGER NOT NULL,
            verdict_digest TEXT NOT NULL, answer TEXT NOT NULL, decided_by TEXT NOT NULL,
            why TEXT NOT NULL, at TEXT NOT NULL)""",
        ),
        by_dialect=freeze_table("decisions"),
    ),
    Step(
        3,
        "watermarks",
        (
            """CREATE TABLE watermarks (
            service TEXT NOT NULL, what TEXT NOT NULL, mark TEXT NOT NULL,
            announced TEXT NOT NULL, PRIMARY KEY (service, what))""",
        ),
    ),
    Step(
        4,
        "routes",
        (
            """CREATE TABLE routes (
            service TEXT NOT NULL PRIMARY KEY, champion INTEGER NOT NULL, candidate INTEGER,
            weight DOUBLE PRECISION NOT NULL, stage_weights TEXT NOT NULL,
            shadow_share DOUBLE PRECISION NOT NULL, salt TEXT NOT NULL, assign_by TEXT NOT NULL,
            mode TEXT NOT NULL, arm_timeout_ms DOUBLE PRECISION NOT NULL,
            candidate_concurrency INTEGER NOT NULL, epoch INTEGER NOT NULL,
            ttl DOUBLE PRECISION NOT NULL, renewal BIGINT NOT NULL)""",
        ),
    ),
    Step(
        5,
        "rollouts",
        (
            """CREATE TABLE rollouts (
            service TEXT NOT NULL, number INTEGER NOT NULL, champion INTEGER NOT NULL,
            candidate INTEGER NOT NULL, policy TEXT NOT NULL, policy_hash TEXT NOT NULL,
            terms TEXT NOT NULL, salt TEXT NOT NULL, phase TEXT NOT NULL, state TEXT NOT NULL,
            readings TEXT NOT NULL, tick INTEGER NOT NULL, opened TEXT NOT NULL,
            ended TEXT NOT NULL, settled INTEGER NOT NULL, PRIMARY KEY (service, number))""",
            "CREATE UNIQUE INDEX one_open_rollout ON rollouts (service) WHERE ended = ''",
            """CREATE TABLE rollout_log (
            service TEXT NOT NULL, number INTEGER NOT NULL, tick INTEGER NOT NULL,
            at TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (service, number, tick))""",
            """CREATE TABLE commands (
            sequence {identity}, service TEXT NOT NULL, number INTEGER NOT NULL,
            action TEXT NOT NULL, given_by TEXT NOT NULL, why TEXT NOT NULL, at TEXT NOT NULL,
            answer TEXT NOT NULL, words TEXT NOT NULL)""",
        ),
        by_dialect=freeze_table("rollout_log"),
    ),
    Step(
        6,
        "how a gateway compares answers and counts values",
        tuple(
            f"ALTER TABLE routes ADD COLUMN {name} DOUBLE PRECISION NOT NULL DEFAULT 0"
            for name in ("tolerance", "value_cap")
        ),
    ),
    Step(
        7,
        "columns that are named by what they hold",
        (
            "ALTER TABLE decisions RENAME COLUMN why TO reason",
            "ALTER TABLE commands RENAME COLUMN why TO reason",
            "ALTER TABLE commands RENAME COLUMN words TO message",
            "ALTER TABLE watermarks RENAME COLUMN what TO subject",
        ),
    ),
    Step(
        8,
        "versions that serve by a person's exception",
        (
            """CREATE TABLE gate_exceptions (
            sequence {identity}, service TEXT NOT NULL, version INTEGER NOT NULL,
            given_by TEXT NOT NULL, reason TEXT NOT NULL, at TEXT NOT NULL)""",
        ),
        by_dialect=freeze_table("gate_exceptions"),
    ),
    Step(
        9,
        "the audit timeline, with who served since when",
        (
            """CREATE TABLE timeline (
            sequence {identity}, service TEXT NOT NULL, at TEXT NOT NULL, action TEXT NOT NULL,
            version INTEGER, previous INTEGER, given_by TEXT NOT NULL, reason TEXT NOT NULL,
            origin TEXT NOT NULL, message TEXT NOT NULL)""",
            "ALTER TABLE commands ADD COLUMN origin TEXT NOT NULL DEFAULT ''",
            "ALTER TABLE decisions ADD COLUMN origin TEXT NOT NULL DEFAULT ''",
        ),
        by_dialect=freeze_table("timeline"),
    ),
    Step(
        10,
        "windows of live performance, each judged once",
        (
            """CREATE TABLE performance_windows (
            service TEXT NOT NULL, version INTEGER NOT NULL, kind TEXT NOT NULL,
            number INTEGER NOT NULL, last_at TEXT NOT NULL, last_request TEXT NOT NULL,
            dropped INTEGER NOT NULL, clean INTEGER NOT NULL, event TEXT NOT NULL,
            payload TEXT NOT NULL, verdict TEXT NOT NULL, judged TEXT NOT NULL,
            claimed TEXT NOT NULL, emitted TEXT NOT NULL,
            PRIMARY KEY (service, version, kind, number))""",
        ),
    ),
    Step(
        11,
        "alerts with their changes and silences, and signals",
        (
            """CREATE TABLE alerts (
            service TEXT NOT NULL, rule TEXT NOT NULL, revision INTEGER NOT NULL,
            state TEXT NOT NULL, PRIMARY KEY (service, rule))""",
            """CREATE TABLE alert_changes (
            sequence {identity}, service TEXT NOT NULL, rule TEXT NOT NULL, kind TEXT NOT NULL,
            at TEXT NOT NULL, change TEXT NOT NULL)""",
            """CREATE TABLE alert_silences (
            sequence {identity}, service TEXT NOT NULL, rule TEXT NOT NULL, action TEXT NOT NULL,
            given_by TEXT NOT NULL, reason TEXT NOT NULL, at TEXT NOT NULL, until TEXT NOT NULL)""",
            """CREATE TABLE signals (
            sequence {identity}, service TEXT NOT NULL, name TEXT NOT NULL, subject TEXT NOT NULL,
            ended TEXT NOT NULL, content TEXT NOT NULL, UNIQUE (service, name, subject, ended))""",
        ),
        by_dialect={
            dialect: freeze_table("alert_changes")[dialect]
            + freeze_table("alert_silences")[dialect]
            for dialect in ("sqlite", "postgresql")
        },
    ),
    Step(
        12,
        "causes of retraining, and the releases that were started for them",
        (
            """CREATE TABLE retraining_causes (
            service TEXT NOT NULL, subject TEXT NOT NULL, kind TEXT NOT NULL, at TEXT NOT NULL,
            reason TEXT NOT NULL, version INTEGER, since TEXT NOT NULL, is_over INTEGER NOT NULL,
            is_closed INTEGER NOT NULL, waits TEXT NOT NULL, decision TEXT NOT NULL,
            PRIMARY KEY (service, subject))""",
            """CREATE TABLE retrainings (
            number {identity}, service TEXT NOT NULL, at TEXT NOT NULL, cause TEXT NOT NULL,
            version INTEGER, since TEXT NOT NULL, run TEXT NOT NULL)""",
        ),
    ),
    Step(
        13,
        "releases with their gates, and states of drift",
        (
            """CREATE TABLE releases (
            sequence {identity}, service TEXT NOT NULL, registry_run TEXT NOT NULL,
            experiment TEXT NOT NULL, flow_run TEXT NOT NULL, data_version BIGINT NOT NULL,
            cause TEXT NOT NULL, started TEXT NOT NULL, ended TEXT NOT NULL, outcome TEXT NOT NULL,
            version INTEGER, message TEXT NOT NULL, gates TEXT NOT NULL,
            UNIQUE (service, registry_run))""",
            """CREATE TABLE drift_states (
            sequence {identity}, service TEXT NOT NULL, kind TEXT NOT NULL, reference TEXT NOT NULL,
            window_end TEXT NOT NULL, change TEXT NOT NULL, state TEXT NOT NULL,
            UNIQUE (service, kind, reference, window_end))""",
        ),
    ),
    Step(
        14,
        "what calls of language models cost, and what is reserved for them",
        (
            """CREATE TABLE spending (
            scope TEXT NOT NULL, subject TEXT NOT NULL, period TEXT NOT NULL,
            spent BIGINT NOT NULL, reserved BIGINT NOT NULL, calls BIGINT NOT NULL,
            overruns BIGINT NOT NULL, unknown BIGINT NOT NULL,
            PRIMARY KEY (scope, subject, period))""",
            """CREATE TABLE reservations (
            id TEXT NOT NULL PRIMARY KEY, amount BIGINT NOT NULL, accounts TEXT NOT NULL,
            expires TEXT NOT NULL, state TEXT NOT NULL)""",
            "CREATE INDEX reservations_by_state ON reservations (state, expires)",
        ),
    ),
    Step(
        15,
        "routes of models and of prompts",
        ("ALTER TABLE routes ADD COLUMN kind TEXT NOT NULL DEFAULT 'model'",),
    ),
    Step(
        16,
        "experiments, one at a time on a service, and their log",
        (
            "ALTER TABLE routes ADD COLUMN experiment TEXT NOT NULL DEFAULT ''",
            """CREATE TABLE experiments (
            name TEXT NOT NULL, number INTEGER NOT NULL, service TEXT NOT NULL,
            phase TEXT NOT NULL, config TEXT NOT NULL, plan TEXT NOT NULL,
            control INTEGER NOT NULL, treatment INTEGER NOT NULL, salt TEXT NOT NULL,
            kind TEXT NOT NULL, epoch INTEGER NOT NULL, planned TEXT NOT NULL,
            started TEXT NOT NULL, ended TEXT NOT NULL, end_reason TEXT NOT NULL,
            analysis TEXT NOT NULL, decision TEXT NOT NULL, revision INTEGER NOT NULL,
            PRIMARY KEY (name, number))""",
            "CREATE UNIQUE INDEX one_running_experiment ON experiments (service) "
            "WHERE phase = 'running'",
            """CREATE TABLE experiment_log (
            sequence {identity}, name TEXT NOT NULL, number INTEGER NOT NULL, at TEXT NOT NULL,
            phase TEXT NOT NULL, given_by TEXT NOT NULL, reason TEXT NOT NULL,
            facts TEXT NOT NULL)""",
        ),
        by_dialect=freeze_table("experiment_log"),
    ),
    Step(
        17,
        "how a gateway counts costs",
        tuple(
            f"ALTER TABLE {table} ADD COLUMN cost_cap DOUBLE PRECISION NOT NULL DEFAULT 0"
            for table in ("routes", "rollouts")
        ),
    ),
)


def migrate(database: Database, steps: tuple[Step, ...] = MIGRATIONS) -> list[int]:
    """Apply the missing steps, all or none; return their numbers.

    If two processes migrate at once, one waits for the other and then has nothing to do.

    Raises:
        ControlUnusable: the store has steps that this code does not know.
        ControlUnavailable: the database is locked or does not answer.
        StorageFull: no room to write.
    """
    with _alone(database), database.transact("bringing its schema up to date") as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK_KEY})"))
        done = _read_steps(connection)
        known = {step.number for step in steps}
        if not done <= known:
            raise ControlUnusable(
                f"the control store has schema step {max(done)}, this code knows up to "
                f"{max(known)}: run a newer Sluice, or use another store"
            )
        missing = [step for step in steps if step.number not in done]
        for step in missing:
            _apply(connection, step)
    return [step.number for step in missing]


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """Exclude other processes of this machine while a SQLite file is created and set to WAL.

    That switch does not wait for a lock as other statements do. A server needs nothing here.
    """
    file = database.file
    if file is None:
        yield
        return
    try:
        with hold_lock(file.with_name(f"{file.name}.lock"), LOCK_SECONDS):
            _set_wal(database)
            yield
    except (TimeoutError, OSError) as error:
        raise ControlUnavailable(f"control store: {error}") from error


def _set_wal(database: Database) -> None:
    """Set the file to write-ahead logging, permanently; outside any transaction."""
    with translate_faults("opening its file"):
        raw = database.engine.raw_connection()
        try:
            raw.cursor().execute("PRAGMA journal_mode=WAL")
        finally:
            raw.close()


def _read_steps(connection: Connection) -> set[int]:
    if not inspect(connection).has_table(STEPS.name):
        STEPS.create(connection)
    return set(connection.execute(select(STEPS.c.number)).scalars())


def _apply(connection: Connection, step: Step) -> None:
    dialect = connection.dialect.name
    statements = step.statements + step.by_dialect.get(dialect, ())
    for statement in statements:
        connection.exec_driver_sql(statement.replace("{identity}", IDENTITY[dialect]))
    connection.execute(STEPS.insert().values(number=step.number, name=step.name))
