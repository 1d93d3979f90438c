"""Measures the size and speed of the web pages, and the queue page with a thousand jobs."""

import os
import shutil
import statistics
from pathlib import Path
from typing import Any

import anyio
from playwright.sync_api import Browser, Page, sync_playwright

from bench.serving import serving
from storage.database import DATABASE, open_database
from storage.jobs import Jobs
from storage.records import Chunk, Order, Segment, Span, Status, Word
from tests.acceptance.hub_client import PASSWORD
from tests.browser.conftest import ADA, NAMES, sign_in
from tests.scripted import DEMO

JOBS = 1000
LINES = 4000
ROUNDS = 7
AT = "2026-05-10T14:00:00.000Z"
PAGES = {
    "queue": "/whisper",
    "search": "/whisper/search?q=something",
    "job of 4,000 lines": f"/whisper/jobs/{JOBS}",
    "account": "/whisper/account",
    "server": "/whisper/server",
}
TIMING = """() => {
  const all = [...performance.getEntriesByType('navigation'),
               ...performance.getEntriesByType('resource').filter(e => !e.name.includes('/audio')
                 && !e.name.includes('/events'))];
  return {ms: performance.getEntriesByType('navigation')[0].loadEventEnd,
          answered: performance.getEntriesByType('navigation')[0].responseEnd,
          kb: all.reduce((sum, e) => sum + e.transferSize, 0) / 1000,
          plain: all.reduce((sum, e) => sum + e.decodedBodySize, 0) / 1000};
}"""
WATCH = """() => {
  window.longest = 0;
  new PerformanceObserver(list => {
    for (const e of list.getEntries()) window.longest = Math.max(window.longest, e.duration);
  }).observe({type: 'longtask'});
}"""


def measure(folder: Path) -> list[str]:
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        return ["not measured: no Chromium is installed here"]
    anyio.run(_fill, folder / "data")
    with (
        serving(folder, ADMIN_EMAIL=ADA, ADMIN_PASSWORD=PASSWORD) as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        base = str(server.http.base_url)
        door = browser.new_context(base_url=base)
        sign_in(door.new_page())
        signed_in = door.storage_state()
        lines = [
            _measure_page(browser, base, signed_in, name, path) for name, path in PAGES.items()
        ]
        server.load()
        context = browser.new_context(base_url=base, storage_state=signed_in)
        lines += _measure_long_queue(context.new_page())
        lines.append(_measure_long_transcript(context.new_page()))
        browser.close()
    return lines


async def _fill(data: Path) -> None:
    data.mkdir(parents=True)  # noqa: ASYNC240 - before anything runs
    async with open_database(data / DATABASE) as database:
        jobs = Jobs(database)
        async with anyio.create_task_group() as group:
            for n in range(JOBS - 1):
                group.start_soon(_add, jobs, f"job-{n}", 3)
        await _add(jobs, "long", LINES)


async def _add(jobs: Jobs, job_id: str, lines: int) -> None:
    order = Order(channel="web", filename=f"{job_id}.mp3", word_timestamps=True)
    await jobs.insert(job_id, order, 1_000_000, AT)
    plan = [Chunk(ordinal=0, spans=(Span(0, 16_000),))]
    await jobs.plan(job_id, lines * 4.0, plan, bytes(range(256)) * 5)
    await jobs.start(job_id)
    words = "something that somebody says in a recording".split()
    segments = [
        Segment(
            index=n,
            start=n * 4.0,
            end=n * 4.0 + 3.5,
            text=" ".join(words),
            words=tuple(
                Word(w, n * 4 + k / 2, n * 4 + k / 2 + 0.5, 0.9) for k, w in enumerate(words)
            ),
        )
        for n in range(lines)
    ]
    await jobs.commit_chunk(job_id, 0, segments)
    await jobs.finish(job_id, Status.DONE, AT, 0.0)


def _measure_page(browser: Browser, base: str, signed_in: Any, name: str, path: str) -> str:
    """Visit a page with a new browser, which loads everything, and then several times again."""
    page = browser.new_context(base_url=base, storage_state=signed_in).new_page()
    first = _visited(page, path)
    later = [_visited(page, path) for _ in range(ROUNDS)]
    page.context.close()
    return (
        f"{name}: {first['kb']:.0f} KB, {first['plain']:.0f} KB unpacked (target: 150); answered "
        f"after {statistics.median(each['answered'] for each in later):.0f} ms, there after "
        f"{statistics.median(each['ms'] for each in later):.0f} ms (target: 100), "
        f"{first['ms']:.0f} ms at the first visit"
    )


def _visited(page: Page, path: str) -> dict[str, float]:
    page.goto(path, wait_until="load")
    page.wait_for_timeout(50)
    timing: dict[str, float] = page.evaluate(TIMING)
    return timing


def _measure_long_queue(page: Page) -> list[str]:
    """Scroll until all jobs are in the list, then submit one and wait until it is done."""
    page.goto("/whisper")
    page.evaluate(WATCH)
    rows = page.locator("#jobs .job")
    for _ in range(10 * JOBS // 50):
        if rows.count() >= JOBS:
            break
        page.mouse.wheel(0, 20_000)
        page.wait_for_timeout(30)
    scrolling = page.evaluate("longest")
    page.evaluate("() => { longest = 0; scrollTo(0, 0); }")
    page.set_input_files("#media_file", DEMO.with_name("demo.wav"))
    page.click("button.primary")
    page.wait_for_selector("#jobs .job.done:nth-child(1 of .job) >> text=demo.wav")
    updating = page.evaluate("longest")
    return [
        f"{JOBS} jobs: the longest pause of the page while they are scrolled in is "
        f"{scrolling:.0f} ms, while a job goes through the list {updating:.0f} ms (0: none over 50)"
    ]


def _measure_long_transcript(page: Page) -> str:
    """Open it, and once all its lines are there, scroll, search and type in it."""
    page.add_init_script(f"({WATCH})()")
    page.goto(PAGES["job of 4,000 lines"])
    page.wait_for_function(f"() => document.querySelectorAll('#lines .line').length === {LINES}")
    pauses = {"while its lines come": _longest(page)}
    page.click("label[for=view-edit]")
    page.wait_for_timeout(1500)
    pauses["to the other view"] = _longest(page)
    for _ in range(40):
        page.mouse.wheel(0, 2000)
        page.wait_for_timeout(30)
    pauses["scrolling"] = _longest(page)
    page.locator(f"#line-{LINES // 2} .text").click()
    page.keyboard.type("Somebody types here. ")
    page.keyboard.press("Shift+Enter")
    page.wait_for_timeout(1500)
    pauses["typing and splitting"] = _longest(page)
    page.keyboard.press("Control+h")
    page.fill("#find", "somebody")
    page.wait_for_selector("#found li")
    pauses["looking for a word"] = _longest(page)
    told = ", ".join(f"{what} {longest:.0f} ms" for what, longest in pauses.items())
    return f"transcript of {LINES} lines, the longest pauses: {told} (0: none over 50)"


def _longest(page: Page) -> float:
    page.wait_for_timeout(200)
    longest: float = page.evaluate("() => { const l = longest; longest = 0; return l; }")
    return longest
