"""The key of an address: what two links share when they lead to one article.

A key is compared and stored, never fetched. A false merge loses an article, while a missed one is
still caught by its text; so only what is listed here is dropped, and what is unknown stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import unquote

from pipelines.address_parts import Parts, Query, absolute, joined, parts_of, tidied
from pipelines.sessions import looks_drawn, names_story

_NO_ALIASES: Mapping[str, str] = {}

# One newsroom that answers under two hosts, with the same paths on both.
_MIRRORS = {"bbc.co.uk": "bbc.com", "edition.cnn.com": "cnn.com"}


def canonical_url(
    url: str, base: str | None = None, aliases: Mapping[str, str] | None = None
) -> str:
    """Return the key of `url`, which `base` makes absolute; `aliases` maps hosts to their site's.

    Raises ValueError for what is not the http(s) address of a host.

    >>> canonical_url("http://www.Gazette.example/2025/03/new-frigate/amp/?utm_source=rss#top")
    'https://gazette.example/2025/03/new-frigate'
    >>> canonical_url("/story?id=5", "https://gazette.example/news/")
    'https://gazette.example/story?id=5'
    """
    known = _NO_ALIASES if aliases is None else aliases
    key = _key(absolute(url, base), known)
    # One rule can lay bare what another reads, as a mobile host does before a viewer's.
    while (next_key := _key(tidied(key), known)) != key:
        key = next_key
    return key


def _key(address: str, aliases: Mapping[str, str]) -> str:
    parts = parts_of(address)
    while (wrapped := _unwrapped(parts)) is not None:
        parts = wrapped
    host = _site_host(parts.host, aliases)
    path = _article_path(parts.path, host)
    return joined(Parts(host, path, _kept(parts.query, host, path), parts.route))


def host_of(url: str) -> str:
    """Return the host of `url`: lower-case, ASCII, without `www.`, with the port where it is odd.

    >>> host_of("https://www.gazette.example:8443/a")
    'gazette.example:8443'
    """
    return _without_www(parts_of(absolute(url, None)).host)


def is_home(url: str) -> bool:
    """Tell whether `url` is the front page of its host, or of one language there (`/el/`)."""
    parts = parts_of(canonical_url(url))
    if parts.query or parts.route:
        return False
    return re.fullmatch(r"/(?:[a-z]{2}(?:[-_][a-zA-Z]{2})?)?/?", parts.path) is not None


# --- addresses that wrap another --------------------------------------------------------------

_GOOGLE = re.compile(r"(?:www\.)?google\.(?:com?\.)?[a-z]{2,3}")
_AMP_CACHE = re.compile(r"(?:[^.]+\.)?(?:cdn\.ampproject\.org|bing-amp\.com)")
_CACHED = re.compile(r"/(?:[a-z]{1,2}|amp)/(?:s/)?([^/]+\.[^/]+(?:/.*)?)")
_VIEWED = re.compile(r"/amp/(?:s/)?([^/]+\.[^/]+(?:/.*)?)")
# Hosts and paths that only send on, and the parameters that say where to.
_REDIRECTORS = (
    (_GOOGLE, "/url", ("url", "q")),
    (re.compile(r"lm?\.facebook\.com"), "/l.php", ("u",)),
    (re.compile(r"[^.]+\.safelinks\.protection\.outlook\.com"), "/", ("url",)),
)


def _unwrapped(parts: Parts) -> Parts | None:
    """Return what `parts` shows or sends on to, or None when it is no known wrapper."""
    inner = _inside_amp(parts) or _inside_redirector(parts)
    if inner is None:
        return None
    try:
        return parts_of(absolute(inner, None))
    except ValueError:
        return None


def _inside_amp(parts: Parts) -> str | None:
    match = None
    if _AMP_CACHE.fullmatch(parts.host):
        match = _CACHED.fullmatch(parts.path)
    elif _GOOGLE.fullmatch(parts.host):
        match = _VIEWED.fullmatch(parts.path)
    if match is None:
        return None
    return joined(replace(parts, host="", path="")).replace("https://", f"https://{match[1]}", 1)


def _inside_redirector(parts: Parts) -> str | None:
    for host, path, names in _REDIRECTORS:
        if host.fullmatch(parts.host) and parts.path == path:
            targets = dict(parts.query)
            found = (targets.get(name) for name in names)
            return next((unquote(one) for one in found if one), None)
    return None


# --- hosts ------------------------------------------------------------------------------------

_DEVICE_LABELS = frozenset({"m", "mobile", "amp"})
# `amp.com.au` is a company, not the AMP form of `com.au`; these second levels stand for a suffix.
_SECOND_LEVELS = frozenset(
    {"ac", "co", "com", "edu", "gob", "gov", "gv", "mil", "net", "or", "org"}
)


def _site_host(host: str, aliases: Mapping[str, str]) -> str:
    """Return the host that stands for its site: no `www.`, no device label, aliases followed."""
    table = {**_MIRRORS, **{_bare(a): _bare(b) for a, b in aliases.items()}}
    host = _bare(host)
    seen = [host]
    while (host := table.get(host, host)) not in seen:
        seen.append(host)
    # A ring of aliases has no last one: take the same of them wherever it was entered.
    ring = seen[seen.index(host) :]
    return min(ring)


def _bare(netloc: str) -> str:
    bare = _without_device(_without_www(netloc.lower()))
    return bare if bare == netloc else _bare(bare)


def _without_www(netloc: str) -> str:
    while netloc.startswith("www.") and netloc.count(".") > 1:
        netloc = netloc.removeprefix("www.")
    return netloc


def _without_device(netloc: str) -> str:
    host, colon, port = netloc.partition(":")
    labels = host.split(".")
    if labels[0] in _DEVICE_LABELS and _is_registrable(labels[1:]):
        return ".".join(labels[1:]) + colon + port
    # `en.m.wikipedia.org`: the device stands behind the language.
    if len(labels[0]) in {2, 3} and labels[1:2] == ["m"] and _is_registrable(labels[2:]):
        return ".".join([labels[0], *labels[2:]]) + colon + port
    return netloc


def _is_registrable(labels: list[str]) -> bool:
    if len(labels) == 2:
        return not (labels[0] in _SECOND_LEVELS and len(labels[1]) == 2)
    return len(labels) > 2 and not labels[-1].isdigit()


# --- parameters that say who linked, not what -------------------------------------------------


def _words(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


_TRACKING_PREFIXES = (
    "utm_", "at_", "amp_", "mtm_", "matomo_", "pk_", "piwik_", "itm_", "hmb_", "gaa_",
    "fb_action_", "guce_", "__cft__", "__xts__", "aspsessionid",
)  # fmt: skip
_TRACKING = _words(
    "fbclid gclid gclsrc dclid gbraid wbraid msclkid yclid ysclid twclid ttclid igshid igsh",
    "li_fat_id mc_cid mc_eid _hsenc _hsmi __hssc __hstc __hsfp hsctatracking mkt_tok vero_id",
    "vero_conv oly_anon_id oly_enc_id rb_clickid s_cid s_kwcid ef_id sc_cid _ga _gl _openstat",
    "xtor wtmc wt_mc wt_zmc taid traffic_source maca sara_ref ftag intcmp cmpid wpisrc oref",
    "ns_mchannel ns_source ns_campaign ns_linkname ns_fee dicbo tblci oborigurl ob_click_id",
    "soc_src soc_trk guccounter ref_src ref_url fb_ref fb_source __twitter_impression __tn__",
    "usqp igphoto replytocom unapproved moderation-hash doing_wp_cron",
    "phpsessid jsessionid sessionid session_id cfid cftoken oscsid zenid",
)
# Dropped with these values alone: elsewhere the same name chooses the content.
_ON = frozenset({"", "1", "true", "yes"})
_TRACKING_VALUES: Mapping[str, frozenset[str]] = {
    "amp": _ON,
    "outputtype": frozenset({"amp"}),
    "output": frozenset({"amp"}),
    "format": frozenset({"amp", "print"}),
    "view": frozenset({"amp", "print"}),
    "mode": frozenset({"amp", "print"}),
    "nonamp": _ON,
    "noamp": _ON | {"mobile", "available"},
    "print": _ON | {"print"},
    "printable": _ON,
    "partner": frozenset({"rss", "rssnyt"}),
    "source": frozenset({"rss", "govdelivery"}),
    "ref": frozenset({"rss"}),
    "src": frozenset({"rss"}),
    "from": frozenset({"rss"}),
    "share": frozenset(
        {"facebook", "twitter", "x", "linkedin", "telegram", "whatsapp", "jetpack-whatsapp",
         "reddit", "email", "pinterest", "tumblr", "pocket", "bluesky", "mastodon"}
    ),
}  # fmt: skip
# Campaign names have letters; a number under the same name may be a story's.
_TRACKING_WORDS = frozenset({"smid", "ocid", "icid", "ncid", "mbid", "trk"})
# `sid` is a story's number on PHP-Nuke, and a session elsewhere: 26 to 40 hexadecimal digits. Where
# the rest of the address names the story, letters and digits mixed are one too, if not so long.
_SESSION = re.compile(r"[0-9a-fA-F]{26,40}")
_SESSIONS = frozenset({"sid", "sess", "sessid"})
_BY_HOST: Mapping[str, frozenset[str]] = {
    "cnn.com": frozenset({"cid", "iid", "sr", "hpt", "iref"}),
    "abcnews.go.com": frozenset({"cid"}),
    "theguardian.com": frozenset({"cmp"}),
    "nytimes.com": _words(
        "smid smtyp smprod emc nl te ref referringsource campaign_id instance_id regi_id",
        "segment_id user_id unlocked_article_code",
    ),
    "wsj.com": frozenset({"mod", "reflink", "st"}),
    "marketwatch.com": frozenset({"mod"}),
    "washingtonpost.com": frozenset({"itid", "hpid", "wpmk"}),
    "reuters.com": frozenset({"rpc", "feedtype", "feedname", "leadsource"}),
    "bloomberg.com": frozenset({"srnd", "sref", "leadsource", "in_source", "embedded-checkout"}),
    "dailymail.co.uk": frozenset({"ito", "ico"}),
    "time.com": frozenset({"xid"}),
}
_BLOGGER_POST = re.compile(r"/\d{4}/\d{2}/[^/]+\.html")


def _kept(query: tuple[Query, ...], host: str, path: str) -> tuple[Query, ...]:
    """Return the parameters that choose the content, by name; the order of equal names stays."""
    kept = [one for one in query if not _is_tracking(one, host, path)]
    kept = [one for one in kept if not _is_session(one, kept, path)]
    return tuple(sorted(kept, key=lambda one: one.name))


def _is_session(one: Query, query: list[Query], path: str) -> bool:
    """Tell whether a parameter says who reads, by its name and value, where others say what."""
    is_one = one.name.lower() in _SESSIONS and looks_drawn(one.value)
    return is_one and names_story(path, [other for other in query if other is not one])


def _is_tracking(one: Query, host: str, path: str) -> bool:
    name, value = one.name.lower(), (one.value or "").lower()
    if name in _TRACKING or name.startswith(_TRACKING_PREFIXES):
        return True
    if name in _TRACKING_VALUES:
        return value in _TRACKING_VALUES[name] or name in _host_rules(host)
    if name in _TRACKING_WORDS:
        return not value.isdigit() or name in _host_rules(host)
    if name == "sid":
        return _SESSION.fullmatch(value) is not None
    if name == "m":
        return value in {"0", "1"} and _BLOGGER_POST.fullmatch(path) is not None
    return name in _host_rules(host)


def _host_rules(host: str) -> frozenset[str]:
    return _BY_HOST.get(host, frozenset())


# --- forms of one page ------------------------------------------------------------------------

_INDEX = re.compile(
    r"(?:index\.(?:html?|php|aspx?|jsp|shtml)|default\.(?:html?|aspx?))", re.IGNORECASE
)
_SESSION_SEGMENT = re.compile(r"\([A-Za-z]\([0-9A-Za-z]{20,}\)\)")
_SESSION_IN_SEGMENT = re.compile(r";(?:jsessionid|phpsessid)=[^/]*", re.IGNORECASE)
_FORMS = frozenset({"amp", "print", "feed", "embed", "trackback"})
_COMMENT_PAGE = re.compile(r"comment-page-\d+")
_DATED = re.compile(r"/(?:19|20)\d{2}/\d{1,2}/(?:\d{1,2}/)?[^/]*[^\d/][^/]*")
_SLUG = re.compile(
    r"(?=.*[^\W\d_]).+[-_].+|.*\d{5,}.*|.+\.(?:html?|php|aspx?|shtml)", re.IGNORECASE
)
# The article system of the US forces: the number is the article, the words after it are not read.
_DOD_ARTICLE = re.compile(r"(.*/Article/\d+)/[^/]+", re.IGNORECASE)
_DOD_HOST = re.compile(r"(?:.+\.)?(?:war\.gov|defense\.gov|[^.]+\.mil)")


def _article_path(path: str, host: str) -> str:
    """Return `path` without what only says in which form the page is wanted."""
    segments = [_SESSION_IN_SEGMENT.sub("", one) for one in path.split("/") if one]
    segments = [one for one in segments if one and not _SESSION_SEGMENT.fullmatch(one)]
    while (shorter := _one_form_less(segments)) is not None:
        segments = shorter
    text = "/" + "/".join(segments)
    match = _DOD_ARTICLE.fullmatch(text) if _DOD_HOST.fullmatch(host) else None
    return match[1] if match else text


def _one_form_less(segments: list[str]) -> list[str] | None:
    if not segments:
        return None
    *front, last = segments
    if _INDEX.fullmatch(last):
        return front
    if (last in _FORMS or _COMMENT_PAGE.fullmatch(last)) and _names_article(front):
        return front
    if front[-1:] == ["feed"] and last in {"rss", "rss2", "atom"} and _names_article(front[:-1]):
        return front[:-1]
    if segments[0] in {"amp", "print"} and len(segments) > 2 and _names_article(segments[1:]):
        return segments[1:]
    if (plain := re.sub(r"(?i)\.amp(\.html?)?$", r"\1", last)) not in {last, ""}:
        return [*front, plain]
    return None


def _names_article(segments: list[str]) -> bool:
    """Tell whether a path is an article's, so that `/amp` behind it is a form and not a name.

    `/company/amp` and `/category/technology/feed` stay; `/512345-navy/amp` and `/x.html/amp` go.
    """
    if not segments:
        return False
    if _DATED.search("/" + "/".join(segments)):
        return True
    return _SLUG.fullmatch(unquote(segments[-1])) is not None
