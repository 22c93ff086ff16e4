"""A program that answers at a server's address without HTTP is no server."""

import socket
import threading

from sluice.adapters.server.api import ask_server


def test_a_program_without_http_counts_as_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def echo() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(connection.recv(1000))

        thread = threading.Thread(target=echo)
        thread.start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/health"
        assert ask_server(address, seconds=10.0) == (0, None)
        thread.join()
