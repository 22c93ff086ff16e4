"""The orchestrator's forms in a real browser: fill one in, send it, read what came of it."""

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
"""How often a form is loaded that stays empty, or sent that the server has no time for (503)."""
BUSY = 503
FIELD = "xpath=ancestor::*[contains(@class, 'p-label__header')]/.."
CONTROL = "input, textarea, [role='combobox'], .p-select-button"


class Forms:
    """A browser with one page, which lives in a thread of its own: its library needs that."""

    def __init__(self, pages: str, thread: ThreadPoolExecutor) -> None:
        self._pages, self._thread = pages, thread
        self._page: Any = None
        self.troubles: list[str] = []
        """What the pages asked for and did not get."""

    def send(self, deployment: Any, choices: dict[str, str], words: dict[str, str]) -> UUID:
        """Fill in a deployment's form as a person would, and send it; give the run's identity.

        `choices` are fields to choose from, `words` those to write into.
        """
        return UUID(self._do(lambda: self._send(deployment.id, choices, words)))

    def refuse(self, deployment: Any, choices: dict[str, str], words: dict[str, str]) -> str:
        """Fill in a form that cannot be sent as it is; give what the page says."""
        return str(self._do(lambda: self._refuse(deployment.id, choices, words)))

    def read_run(self, run: UUID, words: str) -> str:
        """Give what a run's page shows, once it shows the words."""
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
        found = [path for name in BROWSERS if (path := shutil.which(name))]
        arguments = ["--disable-gpu"] + ["--no-sandbox"] * (os.geteuid() == 0)
        self._browser = self._library.chromium.launch(
            executable_path=found[0] if found else None, args=arguments
        )
        self._page = self._browser.new_page(viewport={"width": 1300, "height": 1500})
        self._page.set_default_timeout(WAIT_SECONDS * 1000)
        self._page.on("response", self._note)
        self._page.on("requestfailed", lambda asked: self._add(asked, str(asked.failure)))

    def _note(self, answer: Any) -> None:
        if answer.status >= 400:
            self._add(answer.request, str(answer.status))

    def _add(self, asked: Any, why: str) -> None:
        self.troubles.append(f"{asked.method} {asked.url}: {why}")

    def _close(self) -> None:
        self._browser.close()
        self._library.stop()

    def _fill(self, deployment: UUID, choices: dict[str, str], words: dict[str, str]) -> None:
        self._load(f"{self._pages}/deployments/deployment/{deployment}/run")
        for name, value in choices.items():
            self._find(name).click()
            self._page.keyboard.press("ArrowDown")  # the list opens by the keyboard alone
            self._page.get_by_role("option", name=value, exact=True).click()
        for name, value in words.items():
            self._find(name).fill(value)

    def _load(self, address: str) -> None:
        """Load a form's page; again where a question of its own went without an answer."""
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
        with self._page.expect_response(lambda told: "create_flow_run" in told.url) as told:
            self._page.get_by_role("button", name="Submit").click()
        return told.value

    def _send(self, deployment: UUID, choices: dict[str, str], words: dict[str, str]) -> str:
        self._fill(deployment, choices, words)
        for _ in range(TRIES):
            answer = self._submit()
            if answer.status != BUSY:
                break
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
def open_forms(pages: str) -> Iterator[Forms]:
    """Open a browser on the server's pages."""
    with ThreadPoolExecutor(1) as thread:
        forms = Forms(pages, thread)
        forms.open()
        try:
            yield forms
        finally:
            forms.close()
