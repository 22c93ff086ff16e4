"""Who a request is meant for: allowed `Host` names, and no requests of other sites' pages.

A page in a person's browser can send requests to loopback. A browser says which page sent one, and
a page that hides behind a rebound name of its own names itself as the host. Programs send neither
of these headers with another value than the address that they call.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from serving.http.replies import CallFailed, Scope, explain
from sluice.config.serving import GatewayConfig

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
EVERY_NETWORK = ("0.0.0.0", "::")  # noqa: S104 - compared, not listened on
ANY = "*"
KNOWN = 256
"""Host headers that are remembered as allowed, so that each is read once."""
CHECKED = frozenset((b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode"))
FOREIGN, OWN = (b"cross-site", b"same-site"), (b"same-origin", b"none")
NEXT = "next: name it in `hosts` of configs/gateway"


class AllowedHosts:
    """The host names at which a server answers."""

    def __init__(self, names: Iterable[str] = LOOPBACK) -> None:
        self._names = {name.lower() for name in names}
        self._known: set[bytes] = set()

    def check(self, scope: Scope) -> None:
        """Accept a request for an allowed host that no other site's page has sent.

        The address at which the request arrived is allowed too: no name can be rebound to it.

        Raises:
            CallFailed: 403, the host is not allowed, or another site's page has sent it.
        """
        host = origin = site = mode = b""
        for name, value in scope["headers"]:
            if name not in CHECKED:
                continue
            if name == b"host":
                if value not in self._known:
                    self._learn(value, scope)
                host = value
            elif name == b"origin":
                origin = value
            elif name == b"sec-fetch-site":
                site = value
            else:
                mode = value
        if not host:
            self._learn(host, scope)
        if site in FOREIGN and mode != b"navigate":
            raise _refuse("sec-fetch-site", site, "allowed: same-origin, none")
        if origin and site not in OWN and origin.lower().partition(b"://")[2] != host.lower():
            raise _refuse("origin", origin, f"allowed: pages of {_show(host)} itself")

    def _learn(self, value: bytes, scope: Scope) -> None:
        """Remember a host that is allowed.

        Raises:
            CallFailed: it is not.
        """
        name, server = read_name(value), scope.get("server")
        own = bracket(server[0]) if server else ""
        if ANY not in self._names and name not in self._names and (not name or name != own):
            allowed = ", ".join(sorted(self._names))
            raise _refuse("host", value, f"allowed: {allowed}; {NEXT}")
        if len(self._known) < KNOWN and name in self._names:
            self._known.add(value)


def list_hosts(config: GatewayConfig, *addresses: str) -> list[str]:
    """Return the host names of the settings: loopback, `hosts`, and those of known addresses.

    `addresses` are others at which the server can be reached, such as `https://page.example`.
    """
    urls = (*config.replicas, *addresses)
    named = [config.host, config.page.host, *(urlsplit(url).hostname or "" for url in urls)]
    own = [bracket(name) for name in named if name and name not in EVERY_NETWORK]
    return list(dict.fromkeys((*LOOPBACK, *own, *config.hosts)))


def read_name(value: bytes) -> str:
    """Return the name in a `Host` header, in lower case and without its port."""
    text = value.decode("latin-1").strip().lower()
    if text.startswith("["):
        inside, end, _ = text.partition("]")
        return inside + end
    return text.partition(":")[0].removesuffix(".")


def bracket(address: str) -> str:
    """Return an address as it is written in a URL: IPv6 in brackets."""
    return f"[{address.lower()}]" if ":" in address else address.lower()


def _refuse(header: str, found: bytes, allowed: str) -> CallFailed:
    return CallFailed(explain(403, f"{header}: found {_show(found)}; {allowed}"))


def _show(value: bytes) -> str:
    return value[:100].decode("latin-1") or "nothing"
