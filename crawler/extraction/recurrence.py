"""What recurs on a site's pages and cannot be the story: learned, or not, by counting stories.

Outside the story's box, what recurs is furniture. Within it, lines that are links are, boxes that
hold cards wherever they stand, and lines apart from the paragraphs, after the first of them. Of the
paragraphs themselves only what many stories of several sections repeat.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from crawler.extraction.looking import Look, Unit
from crawler.extraction.places import LINKED, SHORT
from pipelines.furniture import PLACE, TEXT, Learned

Key = tuple[str, str]
Sightings = list[tuple[int, Unit]]

# From the fifth story of a layout on; three of five is the least that is no chance.
FEWEST_STORIES, FEWEST_SEEN = 5, 3
# On how much of the stories around it a unit stands, the more the nearer it stands to the story.
OFTEN, MOSTLY, NEARLY_ALWAYS = 0.6, 0.8, 0.9
# A series has its preface, which is story. What stands in these many stories of two sections, some
# of each, is no series'.
MANY_STORIES, SECTIONS, OF_A_SECTION = 10, 2, 3
# A short line that always leads to the same place is links from a quarter on.
_PARTLY_LINKED = 0.25
# Fewer words outside the story do not sway where it is looked for.
_FEWEST_OUTSIDE = 5
_MOST_LEARNED, _MOST_EXAMPLES = 150, 5


def learn(looks: Sequence[Look], *, fewest: int = FEWEST_STORIES) -> list[Learned]:
    """Return what each layout of the pages repeats, and what seemed to and turned out not to.

    The latter has `is_in_force` false: it stands on some stories and is missing on others, or holds
    story text there. Of a layout with fewer stories than `fewest` nothing is said.
    """
    by_layout: defaultdict[str, list[Look]] = defaultdict(list)
    for one in sorted(looks, key=lambda one: (one.fetched_at, one.url)):
        by_layout[one.layout].append(one)
    found: dict[tuple[str, str, str], Learned] = {}
    for layout, pages in sorted(by_layout.items()):
        for judged in _Layout(layout, pages, fewest=fewest).judged():
            before = found.get(judged.key)
            # One layout's furniture that is another's story is nobody's.
            if before is None or (before.is_in_force and not judged.is_in_force):
                found[judged.key] = judged
    return list(found.values())


def stories_of(looks: Sequence[Look]) -> list[int]:
    """Return the number of each page's story: versions and copies of one are one.

    Told by the address, the headline, or more than half of the longer paragraphs.
    """
    numbers: list[int] = []
    for place, one in enumerate(looks):
        same = next((n for n in range(place) if _is_same(looks[n], one)), None)
        numbers.append(max(numbers, default=-1) + 1 if same is None else numbers[same])
    return numbers


def _is_same(one: Look, other: Look) -> bool:
    if one.url == other.url or (one.headline and one.headline == other.headline):
        return True
    smaller = min(len(one.story), len(other.story))
    return len(one.story & other.story) > smaller / 2


class _Layout:
    """The pages of one layout in order of time, and what stands on several of them."""

    def __init__(self, layout: str, pages: list[Look], *, fewest: int) -> None:
        self.layout, self.pages, self.fewest = layout, pages, fewest
        self.stories = stories_of(pages)
        self.count = max(self.stories, default=-1) + 1
        self.sightings: defaultdict[Key, Sightings] = defaultdict(list)
        for number, page in enumerate(pages):
            for unit in page.units:
                self.sightings[unit.place, unit.text_hash].append((number, unit))

    def judged(self) -> list[Learned]:
        if self.count < self.fewest:
            return []
        least = min(FEWEST_SEEN, self.fewest)
        often = {k: some for k, some in self.sightings.items() if self._times(some)[0] >= least}
        kept = {key for key, some in often.items() if self._is_furniture(key, some)}
        kept |= self._headings(often, {place for place, _ in kept})
        # What stands nearest to the story first, should there be too much.
        judged = [self._made(key, some, is_in_force=key in kept) for key, some in often.items()]
        judged.sort(key=lambda one: (not one.is_inside, -one.seen, one.key))
        yes = [one for one in judged if one.is_in_force][:_MOST_LEARNED]
        return yes + [one for one in judged if not one.is_in_force]

    def _times(self, sightings: Sightings) -> tuple[int, int]:
        """Return on how many stories a unit stands, of how many from its first to its last.

        So a plea that ran for a month, or a box that came with a new theme, is told from what
        stands on a story now and then.
        """
        on = {self.stories[number] for number, _ in sightings}
        return len(on), max(max(on) - min(on) + 1, min(self.count, self.fewest))

    def _is_furniture(self, key: Key, sightings: Sightings) -> bool:
        seen, looked_at = self._times(sightings)
        units, share = [unit for _, unit in sightings], seen / looked_at
        if not key[1]:
            return share >= OFTEN and _is_place(units)
        zones, is_flow = {unit.zone for unit in units}, any(unit.is_flow for unit in units)
        if zones == {"outside"} and not is_flow:
            return share >= OFTEN and _is_lasting(units[0])
        if _is_linked(units):
            return share >= OFTEN
        if "head" in zones or any(unit.kind != "p" for unit in units):
            return False
        if not is_flow:
            return share >= MOSTLY
        return share >= NEARLY_ALWAYS and self._is_of_all_sections(sightings)

    def _is_of_all_sections(self, sightings: Sightings) -> bool:
        on = {self.stories[number]: self.pages[number].topic for number, _ in sightings}
        times = Counter(topic for topic in on.values() if topic)
        several = sum(count >= OF_A_SECTION for count in times.values())
        return len(on) >= MANY_STORIES and several >= SECTIONS

    def _headings(self, often: dict[Key, Sightings], places: set[str]) -> set[Key]:
        """Return the headings that stand nowhere but above what was learned."""
        return {
            key
            for key, some in often.items()
            if all(unit.kind == "h" and places & set(unit.above) for _, unit in some)
            and self._share(some) >= OFTEN
        }

    def _share(self, sightings: Sightings) -> float:
        seen, looked_at = self._times(sightings)
        return seen / looked_at

    def _made(self, key: Key, sightings: Sightings, *, is_in_force: bool) -> Learned:
        seen, looked_at = self._times(sightings)
        pages = [self.pages[number] for number, _ in sightings]
        newest = dict.fromkeys(page.url for page in reversed(pages))
        return Learned(
            kind=TEXT if key[1] else PLACE,
            layout=self.layout,
            place=key[0],
            text=sightings[-1][1].text,
            text_hash=key[1],
            is_inside=any(unit.zone != "outside" for _, unit in sightings),
            seen=seen,
            looked_at=looked_at,
            in_body=sum(unit.is_in_body for _, unit in sightings),
            first_seen=min(page.fetched_at for page in pages),
            last_seen=max(page.fetched_at for page in pages),
            example_urls=tuple(newest)[:_MOST_EXAMPLES],
            is_in_force=is_in_force,
        )


def _is_lasting(unit: Unit) -> bool:
    """Tell a line outside the story from a clock or a count, which is another tomorrow."""
    return unit.words >= _FEWEST_OUTSIDE and not any(one.isdigit() for one in unit.text)


def _is_linked(units: Sequence[Unit]) -> bool:
    least = min(unit.link_share for unit in units)
    is_constant = len({unit.targets for unit in units}) == 1 and units[0].words <= SHORT
    is_row = any(unit.kind == "row" for unit in units)
    return not is_row and (least >= LINKED or (least >= _PARTLY_LINKED and is_constant))


def _is_place(units: Sequence[Unit]) -> bool:
    """Tell a place that holds cards wherever it is, and never a paragraph of the story."""
    cards = sum(unit.kind == "cards" for unit in units)
    return cards >= NEARLY_ALWAYS * len(units) and not any(unit.is_flow for unit in units)
