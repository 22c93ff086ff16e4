"""The budgets that one request has to stay within: of its service, its key and its user."""

from datetime import datetime
from hashlib import sha256

from sluice.config.llm.serving import BudgetsConfig
from sluice.control.spending import Account, Budget, BudgetScope, count_billionths, name_period

KEY_DIGITS = 12
"""Hexadecimal digits of a key's sha256 that name its account; the key itself is kept nowhere."""


def list_budgets(
    config: BudgetsConfig, service: str, key: bytes, unit: str, now: datetime
) -> tuple[Budget, ...]:
    """Return every budget of a request; `unit` is the hash of its user, empty where it has none.

    A key's and a user's budgets are for one service each: that is where they are configured.
    """
    named = sha256(key).hexdigest()[:KEY_DIGITS] if key else ""
    subjects: list[tuple[BudgetScope, str]] = [("service", service)]
    subjects += [("key", f"{named} of {service}")] if named else []
    subjects += [("user", f"{unit} of {service}")] if unit else []
    return tuple(
        Budget(Account(scope, subject, name_period(period, now)), count_billionths(limit))
        for scope, subject in subjects
        for period, limit in getattr(config, scope).list_limits()
    )
