"""Parameters that may say who reads, and not what: which look so, and where others say what.

By its name alone none but a few is taken for a session id (`pipelines.urls`); of all others it
takes the proof that one story was served under two values. A mark is what such addresses share:
the address without the parameter, and its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

_LOOKS_DRAWN = re.compile(r"(?=.*[a-z])(?=.*\d)[0-9a-z]{6,64}", re.IGNORECASE)
STORY_NUMBERS = frozenset({"p", "id", "aid", "nid", "newsid", "article", "story"})
_DATED = re.compile(r"/(?:19|20)\d{2}/\d{1,2}/(?:\d{1,2}/)?[^/]*[^\d/][^/]*/?$")
_SLUG = re.compile(r".*[^\W\d_].*[-_].*[-_].*|[^.]*\d{5,}[^.]*")


def looks_drawn(value: str | None) -> bool:
    """Tell whether a value looks as if it were drawn by lot: letters and digits, mixed."""
    return _LOOKS_DRAWN.fullmatch(value or "") is not None


def names_story(path: str, parameters: Iterable[tuple[str, str | None]]) -> bool:
    """Tell whether a path, or a number beside it, is a story's: what else there is chooses less.

    >>> names_story("/2026/03/frigate-refit/", []), names_story("/view.php", [("id", "5")])
    (True, True)
    >>> names_story("/view.php", [("doc", "ab12cd")])
    False
    """
    if any(name.lower() in STORY_NUMBERS and (value or "").isdigit() for name, value in parameters):
        return True
    last = unquote(path.rstrip("/").rpartition("/")[2])
    return _DATED.search(path) is not None or _SLUG.fullmatch(last) is not None


def session_marks(key: str) -> Iterator[tuple[str, str]]:
    """Yield the mark of a key for each parameter that may be a session id, and its name.

    >>> list(session_marks("https://gazette.example/2026/03/refit-begins?zx=8f3k2q"))
    [('https://gazette.example/2026/03/refit-begins#zx', 'zx')]
    """
    address, _, query = key.partition("?")
    if not query or "#" in query:
        return
    path = "/" + address.partition("://")[2].partition("/")[2]
    pieces = query.split("&")
    for at, piece in enumerate(pieces):
        name, _, value = piece.partition("=")
        others = pieces[:at] + pieces[at + 1 :]
        pairs = [(one.partition("=")[0], one.partition("=")[2]) for one in others]
        if looks_drawn(value) and names_story(path, pairs):
            yield "?".join([address, *(["&".join(others)] if others else [])]) + f"#{name}", name
