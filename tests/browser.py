"""A browser for tests: the system's Chromium, driven by playwright. Without either, tests skip.

`pages` opens a file in a fresh, offline tab and fails the test when the page complains: on an
error, on a message in the console, on any request for something outside the file.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(name="chromium", scope="module")
def one_chromium() -> Iterator[Any]:
    """A browser, started once per file of tests; GRAPHGRAD_BROWSER names another."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = [os.environ.get("GRAPHGRAD_BROWSER"), *map(shutil.which, NAMES)]
    program = next(filter(None, found), "")
    if not program:
        pytest.skip("there is no Chromium on the search path")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(name="pages")
def offline_pages(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Open a page, given as text; options are those of a browser context."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def opened(html: str, **options: Any) -> Any:
        path = tmp_path / "page.html"
        path.write_text(html, encoding="utf-8")
        context = chromium.new_context(viewport={"width": 1200, "height": 800}, **options)
        contexts.append(context)
        context.set_offline(True)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.on("request", lambda r: complaints.append(r.url) if r.url != path.as_uri() else None)
        page.goto(path.as_uri())
        page.wait_for_selector("#said:not(:empty)")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [c for c in complaints if not c.startswith("data:,")] == []
