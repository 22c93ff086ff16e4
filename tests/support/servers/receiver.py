"""Receivers of notifications in tests: a web server that counts requests, a mail server."""

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_string
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    """One request: where it went, its headers, and its JSON document."""

    path: str
    headers: dict[str, str]
    document: dict[str, Any]


@dataclass
class Receiver:
    """What came in so far, in order; each answer takes `seconds`, and is `answer`."""

    port: int = 0
    seconds: float = 0.0
    answer: int = 200
    received: list[Received] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def of(self, path: str) -> list[dict[str, Any]]:
        """Return the documents that came to a path."""
        return [item.document for item in self.received if item.path == f"/{path}"]


@contextmanager
def run_receiver(port: int = 0, seconds: float = 0.0) -> Iterator[Receiver]:
    """A web server on loopback that takes any JSON document."""
    receiver = Receiver(seconds=seconds)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            document = json.loads(self.rfile.read(length) or b"{}")
            receiver.received.append(Received(self.path, dict(self.headers), document))
            time.sleep(receiver.seconds)
            self.send_response(receiver.answer)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        do_PUT = do_POST  # noqa: N815 - named by the library

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    receiver.port = server.server_address[1]
    with _serve(server):
        yield receiver


@dataclass
class MailServer:
    """The mails that came in so far, in order, and who they were for."""

    port: int = 0
    mails: list[tuple[str, Message]] = field(default_factory=list)


@contextmanager
def run_mail_server() -> Iterator[MailServer]:
    """A mail server on loopback that takes any mail, without encryption."""
    found = MailServer()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 ready")
            recipient = ""
            while line := self.rfile.readline().decode().strip():
                verb = line[:4].upper()
                if verb == "DATA":
                    self.say("354 go on")
                    found.mails.append((recipient, message_from_string(self.read_mail())))
                recipient = line if verb == "RCPT" else recipient
                self.say("221 bye" if verb == "QUIT" else "250 ok")
                if verb == "QUIT":
                    return

        def read_mail(self) -> str:
            lines: list[str] = []
            while (line := self.rfile.readline().decode().rstrip("\r\n")) != ".":
                lines.append(line)
            return "\n".join(lines)

        def say(self, words: str) -> None:
            self.wfile.write(f"{words}\r\n".encode())

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_address[1]
    with _serve(server):
        yield found


@contextmanager
def _serve(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
