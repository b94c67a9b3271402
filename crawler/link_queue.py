"""The links of one site in one run: which are asked for, and what is on record of them after."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import NamedTuple

from crawler.addresses import key_of
from crawler.frontier import MAX_ATTEMPTS, Ask, Known, Skip, decide, is_within
from crawler.key_notes import KeyNotes
from crawler.report import SiteReport
from crawler.run import Source
from crawler.site import Site
from pipelines.hints import merged_hints
from pipelines.ledger import Ledger
from pipelines.model import Capture, Link
from pipelines.sessions import session_marks
from pipelines.state_tables import LinkState, LinkStatus, Listed, attempts_after

# So many links are looked up, decided on and put down together.
AT_ONCE = 1_000
# Reasons that mean: no link to an article of this site at all.
NO_ARTICLE = frozenset({"not_article", "foreign_host"})
_OF_SESSIONS = (
    "gives one story an address for each reader (`{name}=`); what is known by another is not asked"
)


class _Wanted(NamedTuple):
    """A link that is asked for: why, and what is on record of it, before and after."""

    key: str
    reason: str
    before: LinkState | None
    after: LinkState


class LinkQueue:
    """Decides on links as they are found; what is not asked for now stays pending."""

    def __init__(
        self,
        site: Site,
        ledger: Ledger,
        *,
        limit: int | None,
        dates: tuple[date | None, date | None] | None,
        now: datetime,
        is_dry: bool = False,
        samples: int = 0,
    ):
        self._site = site
        self._ledger = ledger
        self._left = limit
        self._dates = dates
        self._now = now
        # A dry run asks for no article and puts nothing down; it keeps what it would have asked.
        self._is_dry = is_dry
        self._samples = samples
        self.would_ask: list[tuple[str, str]] = []
        self._asked: set[str] = set()
        self._refused_by_limit: set[str] = set()
        # Of each link seen, why it was skipped; as another source has it, it may be asked for.
        self._seen = KeyNotes()
        self._met: set[str] = set()  # for the revisits, which a backfill has none of
        # The links of the last listing that nobody had listed before.
        self.new: list[Link] = []

    def waiting(self) -> Iterator[Link]:
        """Yield the links that an earlier run found and did not ask for.

        A backfill leaves those of other days waiting.
        """
        for state in self._ledger.state.pending_links(self._site.name):
            if self._is_of_the_days(state.link) and self._take(state.url_key):
                if self._is_dry:
                    self.would_ask.append((state.link.url, "pending"))
                else:
                    yield state.link

    def choose(
        self, links: Sequence[Link], report: SiteReport, source: Source | None
    ) -> Iterator[Link]:
        """Yield those of `links` that are asked for; count the others by reason."""
        self.new = []
        chosen: list[Link] = []
        changed: dict[str, LinkState] = {}
        for key, reason, before, after in self._wanted(links, report, changed):
            if source is not None:
                source.asked.add(key)
            if before is None:
                self.new.append(after.link)
            if key in self._asked:
                continue
            if self._take(key):
                chosen.append(after.link)
                if self._is_dry:
                    self.would_ask.append((after.link.url, reason))
            elif key not in self._refused_by_limit:
                self._refused_by_limit.add(key)
                report.skipped["limit"] += 1
        if self._is_dry:
            sampled = chosen[: self._samples]
            self._samples -= len(sampled)
            yield from sampled
            return
        self._ledger.put_links(changed.values())
        yield from chosen

    def put_down(self, links: Sequence[Link], report: SiteReport) -> Iterator[int]:
        """Put down those of `links` that are asked for, some at a time; yield how many are new.

        They are handed out from the state, where any number of them can wait.
        """
        for start in range(0, len(links), AT_ONCE):
            changed: dict[str, LinkState] = {}
            wanted = list(self._wanted(links[start : start + AT_ONCE], report, changed))
            self._ledger.put_links(changed.values())
            yield sum(one.before is None or one.before.status != "pending" for one in wanted)

    def is_waiting(self, state: LinkState) -> bool:
        """Tell whether a link that waits in the state is for this run to ask."""
        known = self._ledger.fresh_link(self._site.name, state.url_key)
        return (known is None or is_left(known)) and self._is_of_the_days(state.link)

    def is_left(self, link: Link) -> bool:
        """Tell whether a link is still to be asked for, in this run or another."""
        known = self._ledger.link(self._site.name, key_of(link.url, self._site))
        return known is not None and is_left(known)

    def _is_of_the_days(self, link: Link) -> bool:
        return self._dates is None or is_within(link, self._dates, now=self._now)

    def _wanted(
        self, links: Sequence[Link], report: SiteReport, changed: dict[str, LinkState]
    ) -> Iterator[_Wanted]:
        """Yield those that are asked for, and count the others by reason.

        `changed` takes, by key, what is to be put down.
        """
        keyed = {link.url: key for link in links if (key := self._key(link)) is not None}
        known = self._ledger.links(self._site.name, set(keyed.values()))
        for link in links:
            key = keyed.get(link.url)
            if key is None:
                report.skipped["bad_url"] += 1
                continue
            before = changed.get(key) or known.get(key)
            reason = self._wants(link, key, before, report)
            after = self._record(link, key, before, wanted=reason is not None)
            if after is not None and after != before:
                changed[key] = after
            if after is not None and reason is not None:
                yield _Wanted(key, reason, before, after)

    def revisits(self, url_keys: Iterable[str]) -> Iterator[Link]:
        """Yield the links of stories to be looked at again, but for those met in this run."""
        for key in url_keys:
            state = self._ledger.link(self._site.name, key)
            if state is None or state.article_id in self._met or not self._take(key):
                continue
            self.would_ask.append((state.link.url, "revisit"))
            if not self._is_dry:
                yield state.link

    def close(self, link: Link, status: LinkStatus, capture: Capture | None) -> None:
        """Put down what became of a link; it lasts when the batch of its capture is committed."""
        if self._is_dry:
            return
        if self._dates is None and capture is not None and capture.article_id is not None:
            self._met.add(capture.article_id)
        key = key_of(link.url, self._site)
        before = self._ledger.link(self._site.name, key) or self._new(link, key)
        after = replace(
            before,
            status=status,
            attempts=attempts_after(before, status),
            article_id=(capture.article_id if capture else None) or before.article_id,
            last_fetched=capture.page.fetched_at if capture else before.last_fetched,
        )
        if capture is not None:
            self._ledger.add_link(capture.page.location.warc_path, after)
            return
        self._ledger.put_links([after])

    def _wants(
        self, link: Link, key: str, before: LinkState | None, report: SiteReport
    ) -> str | None:
        """Return why a link is asked for; None when it is not, or has been."""
        decision = decide(
            link, site=self._site, known=_known(before, link), now=self._now, dates=self._dates
        )
        if before is None and isinstance(decision, Ask) and (name := self._session_in(key)):
            report.warn(link.found_at, _OF_SESSIONS.format(name=name))
            decision = Skip("session")
        is_article = not (isinstance(decision, Skip) and decision.reason in NO_ARTICLE)
        seen = self._seen.get(key)
        if seen is not None and isinstance(decision, Skip):
            return None
        if seen:  # as another source has it, it was skipped
            report.skipped[seen] -= 1
        if is_article and seen is None:
            report.counts["discovered"] += 1
        if isinstance(decision, Skip):
            report.skipped[decision.reason] += 1
        if is_article and seen != "":
            self._seen.put(key, decision.reason if isinstance(decision, Skip) else "")
        return None if isinstance(decision, Skip) else decision.reason

    def _session_in(self, key: str) -> str | None:
        """Return the parameter of a new address that was shown to be a session id there.

        Shown it is by a story that was read at two addresses, or more, which differ in it alone.
        """
        state = self._ledger.state
        for mark, name in session_marks(key):
            article_id = state.article_id_at(self._site.name, mark)
            keys = state.keys_of(self._site.name, article_id) if article_id else []
            if sum((mark, name) in session_marks(one) for one in keys) > 1:
                return name
        return None

    def _record(
        self, link: Link, key: str, before: LinkState | None, *, wanted: bool
    ) -> LinkState | None:
        """Return what is on record after a link was listed: new links only when they are wanted.

        A known link that is wanted again is pending until it is answered: else a run that ends
        before, or a limit, would leave its change on record as seen, and nobody would ask again.
        """
        if before is None:
            return self._listed(self._new(link, key), link) if wanted else None
        hints = merged_hints(before.link.hints, link.hints)
        status = "pending" if wanted and key not in self._asked else before.status
        known = replace(before, status=status, link=replace(before.link, hints=hints))
        return self._listed(known, link)

    def _new(self, link: Link, key: str) -> LinkState:
        return LinkState(
            site=self._site.name, url_key=key, link=link, status="pending", first_seen=self._now
        )

    def _listed(self, state: LinkState, link: Link) -> LinkState:
        said = Listed(modified=link.hints.date_modified, headline=link.hints.headline)
        return replace(state, listed={**state.listed, link.found_at: said})

    def _take(self, key: str) -> bool:
        if key in self._asked or self._left == 0:
            return False
        self._asked.add(key)
        if self._left is not None:
            self._left -= 1
        return True

    def _key(self, link: Link) -> str | None:
        try:
            return key_of(link.url, self._site)
        except ValueError:
            return None


def is_left(state: LinkState) -> bool:
    """Tell whether a link waits for its first answer, or for one of use."""
    is_tried_again = state.status == "failed" and state.attempts < MAX_ATTEMPTS
    return state.status == "pending" or is_tried_again


def _known(state: LinkState | None, link: Link) -> Known | None:
    if state is None:
        return None
    listed = state.listed.get(link.found_at)
    return Known(
        status=state.status,
        listed_modified=listed.modified if listed else None,
        listed_headline=listed.headline if listed else None,
        article_id=state.article_id,
        last_fetched=state.last_fetched,
        attempts=state.attempts,
    )
