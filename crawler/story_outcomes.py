"""What became of the stories that a crawl asked for: counted, and put down with their links."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from scrapy import Request

from crawler.ingest import Outcome
from crawler.link_queue import LinkQueue
from crawler.refusals import NotAskedError
from crawler.run import Run
from pipelines.errors import StateError
from pipelines.model import Verdict
from pipelines.state_tables import LinkStatus, link_status

logger = logging.getLogger(__name__)


class StoryOutcomes:
    """Told of each story; `by_url` has what became of those that were asked for by name."""

    def __init__(
        self,
        run: Run,
        queues: Mapping[str, LinkQueue],
        *,
        by_name: bool,
        on_progress: Callable[[], None],
    ):
        self._run = run
        self._queues = queues
        self._by_name = by_name
        self._on_progress = on_progress
        self.by_url: dict[str, Outcome | str] = {}

    def taken(self, request: Request, outcome: Outcome) -> None:
        """Count a page that was taken in, by its verdict."""
        report = self._run.report.site(request.meta["site"].name)
        verdict, _, reason = outcome.verdict.partition(":")
        url = request.meta["requested_url"]
        self.keep(url, outcome)
        if verdict == Verdict.NOT_MODIFIED:
            report.counts["not_modified"] += 1
        elif verdict == Verdict.FAILED:
            report.counts["failed"] += 1
            report.error(url, outcome.error or reason)
        else:
            report.counts["fetched"] += 1
        if verdict == Verdict.REFUSED:
            report.skipped[outcome.verdict] += 1
        elif verdict in {Verdict.NEW, Verdict.CHANGED, Verdict.UNCHANGED}:
            report.counts[verdict] += 1
            report.counts["duplicates"] += outcome.is_duplicate
            self._count_unseated(outcome)
        self._close_link(request, link_status(outcome.verdict), outcome)
        self._on_progress()

    def keep(self, url: str, outcome: Outcome | str) -> None:
        """Keep what became of an address that was asked for by name; a crawl has its counts."""
        if not self._by_name:
            return
        if isinstance(outcome, Outcome):
            page = replace(outcome.capture.page, body=b"")  # the archive has it
            outcome = replace(outcome, capture=replace(outcome.capture, page=page))
        self.by_url[url] = outcome

    def _count_unseated(self, outcome: Outcome) -> None:
        """Count copies of this run that were taken for originals until an earlier one came."""
        for copy in outcome.unseated:
            if copy.first_seen >= self._run.report.started_at:
                self._run.report.site(copy.site).counts["duplicates"] += 1

    def failed(
        self, request: Request, reason: str, error: str, *, status: LinkStatus | None
    ) -> None:
        """Count a page that gave no answer of use; without `status` its link stays as it was."""
        report = self._run.report.site(request.meta["site"].name)
        report.counts["failed"] += 1
        report.error(request.meta["requested_url"], error)
        self.keep(request.meta["requested_url"], error)
        if status is not None:
            self._close_link(request, status, None)
        self._on_progress()
        logger.info("%s failed (%s): %s", request.url, reason, error)

    def _close_link(self, request: Request, status: LinkStatus, outcome: Outcome | None) -> None:
        queue = self._queues[request.meta["site"].name]
        try:
            queue.close(request.meta["link"], status, outcome.capture if outcome else None)
        except StateError as error:
            self._run.stop(error)

    def not_asked(self, request: Request, cause: NotAskedError) -> None:
        """Count a page that may not be asked for; for now its link stays as it was."""
        status: LinkStatus | None = None if cause.for_now else "refused"
        if request.meta.get("redirect_times"):
            # The address itself was asked; it is where it leads that was not.
            self.failed(request, cause.reason, str(cause), status=status)
            return
        report = self._run.report.site(request.meta["site"].name)
        report.skipped[cause.reason] += 1
        url = request.meta["requested_url"]
        self.keep(url, str(cause))
        if status is not None:
            self._close_link(request, status, None)
        elif not any(one["error"] == str(cause) for one in report.errors):
            report.error(url, str(cause))  # once for all that wait for the same host
