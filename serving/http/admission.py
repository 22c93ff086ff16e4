"""Who may ask for what: hosts, keys, methods, and how many requests at a time."""

from serving.http.hosts import AllowedHosts
from serving.http.keys import Keyring, read_key
from serving.http.replies import CallFailed, Reply, Scope, ask_again, explain


class InFlight:
    """The requests that have come as a whole and have no reply yet; a block counts as one."""

    def __init__(self, most: int) -> None:
        self._most, self._count = most, 0

    def __enter__(self) -> None:
        """Count one more.

        Raises:
            CallFailed: 503, there are too many already.
        """
        if self._count >= self._most:
            raise CallFailed(ask_again(f"{self._most:,} requests are being answered already"))
        self._count += 1

    def __exit__(self, *_: object) -> None:
        """Count one less."""
        self._count -= 1


class CallerAdmission:
    """Refuses callers of other hosts, and those whose key does not open what they ask for."""

    def __init__(self, hosts: AllowedHosts, keyring: Keyring) -> None:
        self._hosts, self.keyring = hosts, keyring

    def check_host(self, scope: Scope) -> None:
        """Refuse a request to another host, or of a page of another site.

        Raises:
            CallFailed: 403.
        """
        self._hosts.check(scope)

    def admit(self, scope: Scope, service: str = "") -> None:
        """Refuse a caller whose key does not open a service, or any where none is named.

        Raises:
            CallFailed: 401.
        """
        if not self.keyring:
            return
        key = read_key(scope["headers"])
        if not self.keyring.admits(key, service):
            raise CallFailed(refuse_key(self.keyring.explain_refusal(key, service)))


def refuse_key(reason: str, request_id: str = "") -> Reply:
    """Return a 401 with its reason."""
    header = (b"www-authenticate", b"Bearer")
    return explain(401, reason, request_id, header)


def require_method(method: str, allowed: str) -> None:
    """Refuse another method than the one that is allowed.

    Raises:
        CallFailed: 405.
    """
    if method != allowed:
        header = (b"allow", allowed.encode())
        message = f"method: found {method[:20]}; allowed: {allowed}"
        raise CallFailed(explain(405, message, "", header))
