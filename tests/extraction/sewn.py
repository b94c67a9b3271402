"""Pages that are sewn together from what real ones are made of, however it happens to fall.

`make_page` makes pages that have sense. These have none: boxes in lines, bylines in tables, data
that lie, half a platform's markup, a paragraph a thousand times over, a cut anywhere.
"""

from __future__ import annotations

import json
import random

from hypothesis import strategies as st

from tests.extraction.generated import PLATFORMS, URL, make_page, phrases, texts

TAGS = (
    "div", "p", "span", "a", "article", "section", "main", "aside", "ul", "ol", "li", "table", "tr",
    "td", "th", "h1", "h2", "h3", "blockquote", "figure", "figcaption", "time", "em", "b", "form",
    "header", "footer", "nav", "address", "button", "label", "svg", "iframe", "noscript",
)  # fmt: skip
NAMES = (
    "article-body", "entry-content", "byline", "author", "standfirst", "share-this", "related",
    "newsletter", "comments", "post-date", "headline", "caption", "paywall", "page-links", "x",
    "Header--authName--2GjjR", "sidebar", "wp-block-group", "has-text-align-left", "\u00df",
)  # fmt: skip
META = (
    "og:title", "og:description", "og:type", "og:locale", "article:published_time", "author",
    "article:author", "article:content_tier", "twitter:label1", "twitter:data1", "keywords",
    "og:image", "article:modified_time", "description", "og:site_name",
)  # fmt: skip
KEYS = (
    "@type", "@graph", "@id", "headline", "author", "name", "datePublished", "dateModified",
    "isAccessibleForFree", "articleBody", "wordCount", "keywords", "image", "publisher", "url",
    "mainEntityOfPage", "hasPart", "articleSection",
)  # fmt: skip
DATES = (
    "17 November 2026", "31/12/9999 23:59", "2026-11-17T10:14:00+14:00", "00.00.0000", "20260230",
    "1e400", "1700000000000", "Updated: Tue, 17 Nov 2026 25:61 XYZ", "١٧/١١/٢٠٢٦", "12:30 am",
)  # fmt: skip
HREFS = (
    URL, URL + "2/", "?page=2", "//[", "javascript:void(0)", "http://[::1", "/a", "#top", "\\\\x",
    "mailto:a@gazette.example", "/author/anna-petrou/", "https://\ud83d\ude00.example/x", " ",
)  # fmt: skip

_sentences = st.sampled_from([line for text in texts() for line in text.paragraphs])
_phrases = st.sampled_from(
    [one for kind in phrases().values() for some in kind.values() for one in some]
)
_names = st.sampled_from(
    ["By Anna Petrou and Tom Lee", "Reuters", "Von Anna Petrou", "©", "Photo:"]
)
_odd = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
_texts = st.one_of(_sentences, _phrases, _names, st.sampled_from(DATES), _odd)
_values = st.one_of(st.sampled_from((*NAMES, *HREFS, *DATES)), _odd)
_attributes = st.dictionaries(
    st.sampled_from(
        ("class", "id", "href", "rel", "itemprop", "datetime", "style", "hidden", "role", "type",
         "content", "property", "data-cfemail", "lang", "src")
    ),
    _values,
    max_size=3,
)  # fmt: skip
_json = st.recursive(
    st.one_of(_texts, st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(HREFS)),
    lambda some: st.one_of(
        st.lists(some, max_size=4), st.dictionaries(st.sampled_from(KEYS), some, max_size=5)
    ),
    max_leaves=12,
)


def _tag(name: str, attributes: dict[str, str], inside: list[str], ends: bool) -> str:
    said = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f"<{name}{said}>{''.join(inside)}" + (f"</{name}>" if ends else "")


def _platform(name: str, seed: int) -> str:
    rng = random.Random(seed)  # noqa: S311 - a choice that can be made again, no secret
    return PLATFORMS[name](texts()[seed % len(texts())], rng)


_head = st.one_of(
    st.builds(
        lambda name, value: f'<meta property="{name}" content="{value}">',
        st.sampled_from(META),
        _texts,
    ),
    st.builds(
        lambda data: f'<script type="application/ld+json">{json.dumps(data)}</script>',
        _json,
    ),
    st.builds(lambda text: f"<title>{text}</title>", _texts),
    st.sampled_from(
        ['<meta charset="utf-16">', '<base href="//[">', '<link rel="next" href="2/">']
    ),
)
_leaves = st.one_of(
    _texts,
    st.builds(
        lambda href, text: f'<p><a href="{href}">{text}</a></p>',
        st.sampled_from((*HREFS, "https://gazette\u2100example/x")),
        _texts,
    ),
    st.builds(_platform, st.sampled_from(sorted(PLATFORMS)), st.integers(0, 50)),
    st.sampled_from(["<br><br>", "<hr>", "<!--", "-->", "]]>", "&#0;", "&nope;", "<p", "</div>"]),
    _head,
)
# Some a thousand times over: what is a square of something shows by the time that it takes.
_repeated = st.builds(
    lambda piece, times: piece * min(times, 400_000 // max(1, len(piece))),
    _leaves,
    st.sampled_from((1, 1, 1, 1, 2, 30, 1000)),
)
_nodes = st.recursive(
    _repeated,
    lambda some: st.builds(
        _tag,
        st.sampled_from(TAGS),
        _attributes,
        st.lists(some, max_size=6),
        st.sampled_from((True, True, True, True, False)),
    ),
    max_leaves=40,
)
_cuts = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 300), _leaves), max_size=6)


@st.composite
def sewn_pages(draw: st.DrawFn) -> bytes:
    """Draw the bytes of a page: one without sense, or a true one; cut, in some charset."""
    if draw(st.booleans()):
        body = "".join(draw(st.lists(_nodes, min_size=1, max_size=8)))
        head = "".join(draw(st.lists(_head, max_size=6)))
        html = f"<html><head>{head}</head><body>{body}</body></html>"
    else:
        html = make_page(draw(st.integers(0, 2000))).html.decode()
    for place, length, piece in draw(_cuts):
        at = int(place * len(html))
        html = html[:at] + piece + html[at + length :]
    charset = draw(st.sampled_from(("utf-8", "utf-8", "utf-16", "cp1253", "gb18030", "latin-1")))
    return html.encode(charset, "replace")
