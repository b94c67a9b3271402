"""How much of what sites publish is found, how soon, and at what price in requests.

    python benchmarks/discovery.py [--days 30] [--site NAME] [--json]

The five sites of the newsroom, in their own markup and with their own feeds, sitemaps, listings and
wp-json, publish over simulated days, edit, and fail (`living_newsroom.py`); the machine that crawls
sleeps for two of them. The crawls are real, the clock is not (`simulated_days.py`). A month
takes a quarter of an hour of CPU.

`found`: stories with a row, of those published until three hours before the end, and `strangers`
the rows that are none. `delay`: from publication to row, of what came out while the site answered
and the machine was awake; `late` is what came out otherwise. `unchanged`: polls, and looks at
stories, that would have had the same answer as the last one at that address. `edits`: of stories
that had a row before, until a day before the end; `waiting` are those of them whose next look lies
behind the end.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # the newsroom is no part of the package

from living_newsroom import DAY, HOUR, OUTAGES, START, LivingNewsroom, Told
from simulated_days import Clock, Simulation, run_in_loop

from crawler.site import Site, read_site
from pipelines.sql import rows_of
from pipelines.views import connect

NAP = (START + 19.4 * DAY, START + 21.4 * DAY)
MINUTE = timedelta(minutes=1)


class Month:
    """The newsroom and its crawler, from `START` on."""

    def __init__(self, folder: Path, days: float, names: Sequence[str] = ()):
        self.end = START + days * DAY
        self.clock = Clock(START)
        self.newsroom = LivingNewsroom(self.clock, days=days, outages=OUTAGES)
        self.simulation = Simulation(folder, self.clock)
        self.folder = folder
        self.names = names or self.newsroom.sites

    async def run(self) -> dict[str, Any]:
        with self.newsroom, self.simulation as simulation:
            files = self.newsroom.write_site_files(self.folder / "sites")
            sites = [read_site(file) for file in files if file.stem in self.names]
            asleep, awake = NAP
            await simulation.until(min(asleep, self.end), sites)
            if self.end > asleep:
                self.clock.set_on(awake)
                await simulation.until(self.end, sites)
            return self._figures(sites)

    def _figures(self, sites: Sequence[Site]) -> dict[str, Any]:
        with connect(self.simulation.lake) as connection:
            rows = rows_of(connection, "SELECT site, url, revision, fetched_at FROM revisions")
        found = {one.name: self._of(one, [r for r in rows if r["site"] == one.name])
                 for one in sites}  # fmt: skip
        return {
            "days": (self.end - START) / DAY,
            "crawls": self.simulation.crawls,
            "sites": {name: figures(one) for name, one in found.items()},
            "all": figures({key: sum((one[key] for one in found.values()), start=empty)
                            for key, empty in _EMPTY.items()}),
        }  # fmt: skip

    def _of(self, site: Site, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        stories = {self.newsroom.address(site.name, one.first): one
                   for one in self.newsroom.told[site.name]}  # fmt: skip
        seen: dict[str, list[datetime]] = {}
        for row in sorted(rows, key=lambda row: row["fetched_at"]):
            seen.setdefault(row["url"], []).append(row["fetched_at"])
        wanted = {url: one for url, one in stories.items()
                  if START <= one.first.published < self.end - 3 * HOUR}  # fmt: skip
        own = [one for one in self.newsroom.asked if one.request.site == site.name]
        asked = [one for one in own if one.request.path != "/robots.txt"]
        same = [one.request.status for one in asked if one.is_same and one.request.status < 400]
        late = {url for url, one in wanted.items() if self._is_late(site.name, one)}
        delays = {url: seen[url][0] - one.first.published for url, one in wanted.items()
                  if url in seen}  # fmt: skip
        return {
            "published": len(wanted),
            "found": len(delays),
            "strangers": len(seen.keys() - stories.keys()),
            "delays": [one for url, one in delays.items() if url not in late],
            "late": len(late),
            "late_delays": [one for url, one in delays.items() if url in late],
            "requests": len(asked),
            "unchanged": len(same),
            "answered_304": same.count(304),
            **self._edits(site, stories, seen),
        }

    def _is_late(self, site: str, story: Told) -> bool:
        bad = [(one.since, one.until) for one in OUTAGES if one.site == site] + [NAP]
        at = story.first.published
        return any(since - HOUR <= at < until for since, until in bad)

    def _edits(
        self, site: Site, stories: dict[str, Told], seen: dict[str, list[datetime]]
    ) -> dict[str, Any]:
        delays, edits, waiting = [], 0, 0
        for url, one in stories.items():
            at, times = one.edited_at, seen.get(url)
            if at is None or times is None or not times[0] < at < self.end - DAY:
                continue
            edits += 1
            caught = [later - at for later in times[1:] if later >= at][:1]
            delays += caught
            looks = (times[0] + age for age in site.revisits)
            waiting += not caught and not any(at <= look < self.end - HOUR for look in looks)
        found = {"edits": edits, "edits_caught": len(delays), "edits_waiting": waiting}
        return found | {"edit_delays": delays}


_EMPTY: dict[str, Any] = {
    "published": 0, "found": 0, "strangers": 0, "delays": [], "late": 0, "late_delays": [],
    "requests": 0, "unchanged": 0, "answered_304": 0, "edits": 0, "edits_caught": 0,
    "edits_waiting": 0, "edit_delays": [],
}  # fmt: skip


def figures(of: dict[str, Any]) -> dict[str, Any]:
    """Return what one site, or all of them, came to."""
    return {
        "published": of["published"],
        "found": of["found"],
        "found_share": _share(of["found"], of["published"]),
        "strangers": of["strangers"],
        "delay_minutes_median": _middle(of["delays"], MINUTE),
        "delay_minutes_p95": _most(of["delays"], MINUTE),
        "late": of["late"],
        "late_hours_median": _middle(of["late_delays"], HOUR),
        "late_hours_p95": _most(of["late_delays"], HOUR),
        "requests": of["requests"],
        "requests_an_article": round(of["requests"] / of["found"], 2) if of["found"] else None,
        "unchanged": of["unchanged"],
        "answered_304_share": _share(of["answered_304"], of["unchanged"]),
        "edits": of["edits"],
        "edits_caught": of["edits_caught"],
        "edits_waiting": of["edits_waiting"],
        "edits_caught_share": _share(of["edits_caught"], of["edits"]),
        "edit_delay_hours_median": _middle(of["edit_delays"], HOUR),
        "edit_delay_hours_p95": _most(of["edit_delays"], HOUR),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _middle(lengths: Sequence[timedelta], unit: timedelta) -> float | None:
    return round(median(lengths) / unit, 1) if lengths else None


def _most(lengths: Sequence[timedelta], unit: timedelta) -> float | None:
    if len(lengths) < 2:
        return None
    return round(quantiles([one / unit for one in lengths], n=20, method="inclusive")[-1], 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--days", type=float, default=30)
    parser.add_argument("--site", action="append", default=[], help="only this one; repeatable")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="discovery-") as folder:
        month = Month(Path(folder), options.days, options.site)
        tell(run_in_loop(month.run), is_json=options.json)


def tell(said: dict[str, Any], *, is_json: bool) -> None:
    if is_json:
        print(json.dumps(said))
        return
    print(f"{said['days']:g} simulated days, {said['crawls']} crawls")
    names = {**said["sites"], "all": said["all"]}
    print(f"{'':<24}" + "".join(f"{name:>18}" for name in names))
    for key in said["all"]:
        shown = ("-" if one[key] is None else str(one[key]) for one in names.values())
        print(f"{key:<24}" + "".join(f"{one:>18}" for one in shown))


if __name__ == "__main__":
    main()
