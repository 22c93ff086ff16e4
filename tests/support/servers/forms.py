"""The orchestrator's forms in a real browser: fill one in, send it, read the result."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WAIT_SECONDS, LOAD_MS = 60.0, 15_000.0
TRIES = 10
"""How often to reload a form that stays empty."""
LOGIN = re.compile("/(login|unauthenticated)")
FIELD = "xpath=ancestor::*[contains(@class, 'p-label__header')]/.."
CONTROL = "input, textarea, [role='combobox'], .p-select-button"


def launch_browser(library: Any, *arguments: str) -> Any:
    """Start the machine's Chromium, or the library's own where there is none."""
    found = [path for name in BROWSERS if (path := shutil.which(name))]
    always = ["--disable-gpu"] + ["--no-sandbox"] * (os.geteuid() == 0)
    return library.chromium.launch(
        executable_path=found[0] if found else None, args=[*always, *arguments]
    )


class Forms:
    """A browser with one page, in its own thread, as its library requires."""

    def __init__(self, pages: str, login: str, thread: ThreadPoolExecutor) -> None:
        self._pages, self._login, self._thread = pages, login, thread
        self._page: Any = None
        self.troubles: list[str] = []
        """Requests of the pages that failed."""

    def send(self, deployment: Any, choices: dict[str, str], words: dict[str, str]) -> UUID:
        """Fill in a deployment's form as a person would, and send it; return the run's id.

        `choices` are fields to choose from, `words` those to write into.
        """
        return UUID(self._do(lambda: self._send(deployment.id, choices, words)))

    def refuse(self, deployment: Any, choices: dict[str, str], words: dict[str, str]) -> str:
        """Fill in a form that cannot be sent as it is; return what the page says."""
        return str(self._do(lambda: self._refuse(deployment.id, choices, words)))

    def read_run(self, run: UUID, words: str) -> str:
        """Return what a run's page shows, once it shows the words."""
        return str(self._do(lambda: self._read(f"/runs/flow-run/{run}", words)))

    def _do(self, work: Callable[[], Any]) -> Any:
        return self._thread.submit(work).result(WAIT_SECONDS * 3)

    def open(self) -> None:
        """Start the browser."""
        self._do(self._open)

    def close(self) -> None:
        """End the browser."""
        self._do(self._close)

    def _open(self) -> None:
        from playwright.sync_api import sync_playwright

        self._library = sync_playwright().start()
        self._browser = launch_browser(self._library)
        self._page = self._browser.new_page(viewport={"width": 1300, "height": 1500})
        self._page.set_default_timeout(WAIT_SECONDS * 1000)
        self._log_in()
        self._page.on("response", self._note)
        self._page.on("requestfailed", lambda request: self._add(request, str(request.failure)))

    def _log_in(self) -> None:
        """Give the pages the login, as a person does once."""
        self._page.goto(self._pages)
        self._page.wait_for_url(LOGIN)
        self._page.locator("input").first.fill(self._login)
        self._page.keyboard.press("Enter")
        self._page.wait_for_url(lambda address: LOGIN.search(address) is None)

    def _note(self, answer: Any) -> None:
        if answer.status >= 400:
            self._add(answer.request, str(answer.status))

    def _add(self, request: Any, reason: str) -> None:
        self.troubles.append(f"{request.method} {request.url}: {reason}")

    def _close(self) -> None:
        self._browser.close()
        self._library.stop()

    def _fill(self, deployment: UUID, choices: dict[str, str], words: dict[str, str]) -> None:
        self._load(f"{self._pages}/deployments/deployment/{deployment}/run")
        for name, value in choices.items():
            self._find(name).click()
            self._page.keyboard.press("ArrowDown")  # the list opens only by the keyboard
            self._page.get_by_role("option", name=value, exact=True).click()
        for name, value in words.items():
            self._find(name).fill(value)

    def _load(self, address: str) -> None:
        """Load a form's page; reload it if one of its requests had no answer."""
        from playwright.sync_api import TimeoutError as TooLate

        for _ in range(TRIES):
            self._page.goto(address)
            try:
                self._page.get_by_role("button", name="Submit").wait_for(timeout=LOAD_MS)
                return
            except TooLate:
                continue
        raise AssertionError(f"{address} shows no form: {self.troubles}")

    def _find(self, name: str) -> Any:
        words = re.compile(rf"^{re.escape(name)}( \(Optional\))?$")
        label = self._page.locator("label").get_by_text(words)
        return label.locator(FIELD).locator(CONTROL).first

    def _submit(self) -> Any:
        with self._page.expect_response(lambda reply: "create_flow_run" in reply.url) as sent:
            self._page.get_by_role("button", name="Submit").click()
        return sent.value

    def _send(self, deployment: UUID, choices: dict[str, str], words: dict[str, str]) -> str:
        self._fill(deployment, choices, words)
        answer = self._submit()
        assert answer.ok, answer.text()
        return str(answer.json()["id"])

    def _refuse(self, deployment: UUID, choices: dict[str, str], words: dict[str, str]) -> str:
        self._fill(deployment, choices, words)
        self._page.get_by_role("button", name="Submit").click()
        self._page.wait_for_timeout(1000)
        assert self._page.url.endswith("/run"), "the form was taken"
        return str(self._page.locator("body").inner_text())

    def _read(self, path: str, words: str) -> str:
        self._page.goto(self._pages + path)
        self._page.get_by_text(words).first.wait_for()
        return str(self._page.locator("body").inner_text())


@contextmanager
def open_forms(pages: str, login: str) -> Iterator[Forms]:
    """Open a browser on the server's pages, and log in."""
    with ThreadPoolExecutor(1) as thread:
        forms = Forms(pages, login, thread)
        forms.open()
        try:
            yield forms
        finally:
            forms.close()
