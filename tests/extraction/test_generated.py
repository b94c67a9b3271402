"""Noise of every platform and language around and between known stories: none in, nothing lost.

    python tests/extraction/test_generated.py [PAGES]

prints the figures, and each case that is not as it should be.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from crawler.extraction import extract

sys.path.insert(0, str(Path(__file__).parent))
from generated import PLATFORMS, URL, Page, layouts, make_pages, texts

# The aim for any site: one page in a hundred with a line of noise, one line in two hundred lost.
MOST_NOISY, MOST_LOST = 0.01, 0.005


def measure(pages: list[Page]) -> tuple[float, float, list[str]]:
    """Return the share of noisy pages, that of lost lines, and what a person should look at."""
    noisy, lost, lines, faults = 0, 0, 0, list[str]()
    for page in pages:
        noise, gone = page.faults(extract(page.html, URL).article_body)
        noisy, lost, lines = noisy + bool(noise), lost + len(gone), lines + len(page.story)
        where = f"{page.layout}/{page.language}"
        faults += [f"{where}: + {line}" for line in noise] + [f"{where}: - {line}" for line in gone]
    return noisy / len(pages), lost / lines, faults


def test_noise_of_all_kinds_stays_out_and_the_story_stays_whole() -> None:
    pages = list(make_pages(700, start=100_000))
    assert {page.layout for page in pages} == {layout.name for layout in layouts()}
    assert {page.language for page in pages} == {text.language for text in texts()}
    assert {name for page in pages for name in page.noise} >= set(PLATFORMS)
    noisy, lost, faults = measure(pages)
    assert noisy <= MOST_NOISY, faults
    assert lost <= MOST_LOST, faults


@pytest.mark.soak
def test_noise_stays_out_of_many_more_pages() -> None:
    noisy, lost, faults = measure(list(make_pages(20_000, start=200_000)))
    assert noisy <= MOST_NOISY, faults[:50]
    assert lost <= MOST_LOST, faults[:50]


def test_no_page_with_a_story_is_refused() -> None:
    pages = make_pages(150, start=300_000)
    refused = [(p.layout, p.language) for p in pages if extract(p.html, URL).refusal is not None]
    assert refused == []


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    noisy_share, lost_share, cases = measure(list(make_pages(count, start=400_000)))
    said = f"{count} pages: {noisy_share:.2%} with noise, {lost_share:.3%} of lines lost"
    sys.stdout.write("\n".join([said, *cases]) + "\n")
