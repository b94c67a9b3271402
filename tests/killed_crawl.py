"""`sitrep`, killed between two of its steps: `python -m tests.killed_crawl STEP N crawl …`.

The whole process group gets SIGKILL at the N-th passage of STEP (see `STEPS`), from within. The
crawler knows nothing of it: a step is a function of its own, run as it is, with the kill before or
after it. A step that does not exist, or that was not reached N times, is a failure of its own.

`python -m tests.killed_crawl count FILE crawl …` kills nothing and writes how often each step was
passed, as JSON; `held:STEP N` kills nothing either, but stays there for `HELD_SECONDS` and makes
the file `held` in the working folder; `interrupted:STEP+LATER N` sends itself one SIGINT, LATER
turns of the event loop after it, and goes on. WARC files are small in all: a run commits several.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from crawler import archivist, cli

# A file holds about four of the living site's stories.
MOST_BYTES = 8_000
NEVER_REACHED = 3
HELD_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Step:
    """A point between two steps: `when` a function of ours is passed; of a table, if one is named.

    The function is named where it is looked up: `module:name` or `module:Class.name`.
    """

    when: str
    target: str
    table: str | None = None

    def concerns(self, arguments: tuple[Any, ...]) -> bool:
        return self.table is None or self.table in arguments


STEPS: dict[str, Step] = {
    # Passed before anything is asked for
    "lake_found": Step("after", "pipelines.lake:Lake.open"),
    "state_bound": Step("after", "pipelines.state:State.belongs_to"),
    "leased": Step("after", "pipelines.lease:FileLease.try_acquire"),
    # From the wire into the archive, and out of it
    "fetched": Step("before", "crawler.run:Run.archive"),
    "archived": Step("after", "pipelines.archive_writer:WarcWriter.write"),
    "extracted": Step("after", "crawler.extraction_pool:ExtractionPool.extract"),
    "decided": Step("after", "crawler.ingest:Ingest.take"),
    "links_listed": Step("after", "pipelines.ledger:Ledger.put_links"),
    # A file's end
    "closed": Step("after", "pipelines.archive_writer:WarcWriter.close"),
    "moving": Step("before", "pipelines.lake:Lake.add_warc"),
    "moved": Step("after", "pipelines.lake:Lake.add_warc"),
    "file_synced": Step("after", "pipelines.storage:fsync"),
    # A commit
    "committing": Step("before", "pipelines.lake:Lake.commit"),
    "revisions_next": Step("before", "pipelines.lake:Lake._append", "revisions"),
    "revisions_in": Step("after", "pipelines.lake:Lake._append", "revisions"),
    "relations_in": Step("after", "pipelines.lake:Lake._append", "relations"),
    "captures_next": Step("before", "pipelines.lake:Lake._append", "captures"),
    "captures_in": Step("after", "pipelines.lake:Lake._append", "captures"),
    "rows_written": Step("after", "pipelines.delta:write"),
    "logged": Step("before", "pipelines.delta:_acknowledge"),
    "table_file_synced": Step("after", "pipelines.storage:LocalStorage.settle"),
    "acknowledged": Step("after", "pipelines.delta:_acknowledge"),
    "summing_up": Step("before", "pipelines.lake:Lake._sum_up"),
    "summed_up": Step("after", "pipelines.lake:Lake._sum_up"),
    # Publishing
    "publishing": Step("before", "pipelines.ledger:publish"),
    "drafted": Step("after", "pipelines.generations:Draft.__init__"),
    "part_written": Step("after", "pipelines.generations:Draft.add"),
    "flipping": Step("before", "pipelines.generations:Draft.finish"),
    "published_file_synced": Step("after", "pipelines.generations:fsync"),
    "flipped": Step("after", "pipelines.generations:Draft.finish"),
    "swept": Step("after", "pipelines.generations:Generations.sweep"),
    # The state
    "saving": Step("before", "pipelines.ledger:Ledger._save"),
    "within_saving": Step("after", "pipelines.state:Transaction.put_articles"),
    "saved": Step("after", "pipelines.ledger:Ledger._save"),
    "forgotten": Step("after", "pipelines.ledger:Ledger.forget"),
    # The end of the run
    "all_committed": Step("after", "crawler.archivist:Archivist.finish"),
    "sources_settled": Step("after", "crawler.run:Run._settle_sources"),
    "noted": Step("after", "crawler.run:Run._note_site"),
    "run_in": Step("after", "pipelines.lake:Lake.add_run"),
}

# Passed only where a site's stories are enough to learn from, and something is to be mended.
LEARNING: dict[str, Step] = {
    "looking": Step("before", "crawler.learning:Learning._learn"),
    "looked": Step("after", "crawler.extraction_pool:ExtractionPool.look"),
    "furniture_next": Step("before", "pipelines.lake:Lake._append", "furniture"),
    "furniture_in": Step("after", "pipelines.lake:Lake._append", "furniture"),
    "mending": Step("before", "crawler.learning:Learning._mend"),
    "unit_stored": Step("after", "crawler.reextract:Reextraction._store_unit"),
}
# Passed only where an earlier run left something.
RECOVERY: dict[str, Step] = {
    "recovering": Step("before", "crawler.recovery:Recovery.take_up"),
    "file_begun": Step("before", "crawler.recovery:Recovery._take_file"),
    "page_begun": Step("before", "crawler.recovery:Recovery._take_page"),
    "page_taken": Step("after", "crawler.recovery:Recovery._take_page"),
    "file_taken": Step("after", "crawler.recovery:Recovery._take_file"),
}
CATCH_UP: dict[str, Step] = {
    "catching_up": Step("before", "crawler.recovery:catch_up"),
    "bringing_up": Step("before", "pipelines.catch_up:_save"),
    "within_bringing_up": Step("after", "pipelines.state:Transaction.put_links"),
    "brought_up": Step("after", "crawler.recovery:catch_up"),
    "marked": Step("after", "crawler.recovery:mark"),
}
# Within Scrapy: it is about to ask, and it finds that nothing is left to ask for.
ENDS: dict[str, Step] = {
    "opened": Step("after", "scrapy.core.engine:ExecutionEngine.open_spider_async"),
    "idle": Step("before", "scrapy.core.engine:ExecutionEngine._spider_idle"),
}
ALL = STEPS | LEARNING | RECOVERY | CATCH_UP | ENDS


def main() -> None:
    step, n, *sys.argv[1:] = sys.argv[1:]
    archivist.MOST_BYTES = MOST_BYTES
    if step == "count":
        _count(Path(n))
    elif os.getpgrp() != os.getpid():
        # Whoever started us in the group of others would kill those too.
        sys.exit("start this as the leader of a process group of its own")
    elif step.startswith("held:"):
        _at(ALL[step.removeprefix("held:")], int(n), _hold)
        cli.main()
    elif step.startswith("interrupted:"):
        step, _, later = step.removeprefix("interrupted:").partition("+")
        _at(ALL[step], int(n), lambda: _interrupt(int(later or 0)))
        cli.main()
    else:
        _kill_at(ALL[step], int(n))


def _at(step: Step, n: int, act: Callable[[], None]) -> Counter[str]:
    """Have `act` called at the N-th passage of a step; return a count of its passages."""
    passed = Counter[str]()

    def note() -> None:
        passed["times"] += 1
        if passed["times"] == n:
            act()

    _wrap(step, note)
    return passed


def _hold() -> None:
    Path("held").touch()
    time.sleep(HELD_SECONDS)


def _interrupt(later: int) -> None:
    """Be sent Ctrl-C, so many turns of the event loop later."""
    if later:
        asyncio.get_running_loop().call_soon(_interrupt, later - 1)
    else:
        os.kill(os.getpid(), signal.SIGINT)


def _kill_at(step: Step, n: int) -> None:
    passed = _at(step, n, lambda: os.killpg(os.getpgrp(), signal.SIGKILL))
    try:
        cli.main()
    finally:
        sys.stderr.write(f"passed {passed['times']} times, not {n}\n")
        sys.stderr.flush()
        os._exit(NEVER_REACHED)


def _count(file: Path) -> None:
    passed = Counter[str]()
    for name, step in ALL.items():
        _wrap(step, functools.partial(passed.update, [name]))
    try:
        cli.main()
    finally:
        file.write_text(json.dumps(passed))


def _wrap(step: Step, note: Callable[[], None]) -> None:
    """Have `note` called before or after each call of the step's function."""
    module, _, path = step.target.partition(":")
    *classes, name = path.split(".")
    owner: Any = functools.reduce(getattr, classes, import_module(module))
    setattr(owner, name, _noted(getattr(owner, name), step, note))


def _noted(real: Callable[..., Any], step: Step, note: Callable[[], None]) -> Callable[..., Any]:
    @functools.wraps(real)
    def passing(*arguments: Any, **named: Any) -> Any:
        if step.when == "before" and step.concerns(arguments):
            note()
        result = real(*arguments, **named)
        if step.when == "after" and step.concerns(arguments):
            note()
        return result

    @functools.wraps(real)
    async def passing_in_turn(*arguments: Any, **named: Any) -> Any:
        if step.when == "before":
            note()
        result = await real(*arguments, **named)
        if step.when == "after":
            note()
        return result

    return passing_in_turn if inspect.iscoroutinefunction(real) else passing


if __name__ == "__main__":
    main()
