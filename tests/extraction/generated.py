"""Pages made of known stories in many languages, in many sites' forms, with noise between all.

What an extractor ought to give is known to the letter: `Page.story`. Every other line is noise,
and every line of the story that does not come out is a loss. Class names and phrases are those
that real sites use; markup and sentences were written here.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HOST = "https://gazette.example"
URL = f"{HOST}/2026/11/17/story-at-sea/"


@dataclass(frozen=True, slots=True)
class Text:
    language: str
    headline: str
    paragraphs: tuple[str, ...]
    heading: str
    items: tuple[str, ...]
    quote: str
    other: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page, what stands in its story line by line, and what it was made of."""

    html: bytes
    story: tuple[str, ...]
    layout: str
    language: str
    noise: tuple[str, ...]

    def faults(self, body: str) -> tuple[list[str], list[str]]:
        """Return the lines of `body` that are noise, and those of the story that it lost."""
        got = [line for line in body.splitlines() if line]
        return (
            [line for line in got if line not in self.story],
            [line for line in self.story if line not in got],
        )


@cache
def texts() -> tuple[Text, ...]:
    file = Path(__file__).with_name("texts.toml")
    data = tomllib.loads(file.read_text(encoding="utf-8"))
    return tuple(
        Text(
            language=language,
            paragraphs=tuple(one["paragraphs"]),
            items=tuple(one["items"]),
            **{key: one[key] for key in ("headline", "heading", "quote", "other")},
        )
        for language, one in data.items()
    )


@cache
def phrases() -> dict[str, dict[str, list[str]]]:
    """Return kind → language → phrases."""
    file = Path(__file__).with_name("phrases.toml")
    return tomllib.loads(file.read_text(encoding="utf-8"))


# --- noise ----------------------------------------------------------------------------------

Noise = Callable[[Text, random.Random], str]


def _link(text: str, at: int = 0) -> str:
    return f'<a href="/2026/10/0{at + 1}/another-{at}/">{text}</a>'


def _networks() -> str:
    names = ("Facebook", "Twitter", "LinkedIn", "WhatsApp")
    return "".join(
        f'<li><a href="https://{name.lower()}.example/sharer?u=1"><span>{name}</span></a></li>'
        for name in names
    )


def _marked(before: str, label: str, inside: str, after: str) -> Noise:
    """Return a block that its class or id gives away."""
    title = f"<h4>{label}</h4>" if label else ""
    return lambda text, _: before + title + inside.replace("%", text.other) + after


def _div(names: str, label: str, inside: str = "") -> Noise:
    kind = "id" if names.startswith("#") else "class"
    return _marked(f'<div {kind}="{names.lstrip("#")}">', label, inside, "</div>")


_SHARE = f"<ul>{_networks()}</ul>"
_OTHERS = (
    '<ul><li><a href="/2026/10/01/a/">%</a></li><li><a href="/2026/10/02/b/">% (2)</a></li></ul>'
)
_CARD = '<div><a href="/2026/10/03/c/"><img src="c.jpg"></a><h3><a href="/2026/10/03/c/">%</a></h3>'
_CARD += "<p>18/10/2026</p></div>"
_EMAIL = '<form action="/in"><p>One letter a week</p><input type="email"><button>OK</button></form>'

# What each platform puts around a story (the research's table of class names).
PLATFORMS: dict[str, Noise] = {
    "monarch modal": _div("et_social_pin_images_outer", "Pin It on Pinterest", "<span>x</span>"),
    "monarch mobile": _div("et_social_mobile_button", "Share This"),
    "monarch inline": _div("et_social_inline et_social_mobile_on", "Share", _SHARE),
    "monarch media": _div("et_social_media_wrapper", "Pin It", _SHARE),
    "monarch heading": _div("et_social_heading", "Share this with friends"),
    "divi widget": _div("et_pb_widget widget_recent", "Latest", _OTHERS),
    "divi newsletter": _div("et_pb_newsletter et_pb_subscribe", "Stay close", _EMAIL),
    "bloom": _div("et_bloom_inline_form", "Letters from the pier", _EMAIL),
    "divi comments": _div("#comment-wrap", "Submit a Comment", "<p>First! — Jon</p>"),
    "divi navigation": _div("et_pb_post_navigation", "Older Entries", _OTHERS),
    "sharedaddy": _div("sharedaddy sd-sharing-enabled", "Share this:", _SHARE),
    "sd-like": _div("sd-block sd-like", "Like this:", "<span>Like Loading...</span>"),
    "jetpack related": _div("#jp-relatedposts", "Related", _CARD),
    "addtoany": _div("addtoany_share_save_container", "Share:", _SHARE),
    "a2a": _div("a2a_kit a2a_kit_size_32", "Share", _SHARE),
    "sharethis": _div("sharethis-inline-share-buttons", "12 Shares", _SHARE),
    "st": _div("st_facebook_large", "Facebook"),
    "addthis": _div("addthis_inline_share_toolbox_1x", "AddThis", _SHARE),
    "shareaholic": _div("shareaholic-canvas", "Sharing is caring", _SHARE),
    "social warfare": _div("swp_social_panel", "7 Shares", _SHARE),
    "sassy": _div("heateor_sss_sharing_container", "Spread the love", _SHARE),
    "mashshare": _div("mashsb-container", "3 SHARES", _SHARE),
    "essb": _div("essb_links essb_displayed_top", "Share Tweet", _SHARE),
    "td sharing": _div("td-post-sharing td-post-sharing-bottom", "SHARE", _SHARE),
    "td tags": _div("td-post-source-tags", "TAGS", "<ul><li><a href='/tag/x/'>navy</a></li></ul>"),
    "td related": _div("td_block_wrap td_block_related_posts", "RELATED ARTICLES", _CARD),
    "td next": _div("td-post-next-prev", "Previous article", _OTHERS),
    "td author": _div("td-author-box", "Ann Shore", "<p>Ann has covered ports since 2011.</p>"),
    "td ad": _div("td-a-rec td-a-rec-id-content", "- Advertisement -", "<p>Buy a boat today.</p>"),
    "yarpp": _div("yarpp yarpp-related", "Related posts:", _OTHERS),
    "crp": _div("crp_related", "Related posts", _OTHERS),
    "arc newsletter": _div("c-newsletter-promo", "The Monday Tide", "<p>Sign up for it.</p>"),
    "arc related": _div("b-related-stories", "Related", _CARD),
    "arc interstitial": _marked(
        '<p class="interstitial-link">', "", '<a href="/2026/10/01/a/">%</a>', "</p>"
    ),
    "ghost": _div("kg-card kg-signup-card", "Subscribe", _EMAIL),
    "ghost cta": _div("kg-card kg-cta-card", "Become a member", "<p>Five coins a month.</p>"),
    "ghost tags": _div("gh-article-tags", "Harbours"),
    "drupal tags": _div("field field--name-field-tags", "Tags", "<a href='/t/x'>fleet</a>"),
    "drupal links": _div("links inline", "Add new comment", "<a href='/user/login'>Log in</a>"),
    "drupal share": _div("social-media-sharing", "Share", _SHARE),
    "drupal views": _div("block-views block-views-more", "More in Fleet", _OTHERS),
    "k2 related": _div("itemRelated", "Related items", _OTHERS),
    "k2 share": _div("itemSocialSharing", "Tweet", _SHARE),
    "k2 navigation": _div("itemNavigation", "More in this category:", _OTHERS),
    "k2 tags": _div("itemTagsBlock", "Tagged under", "<a href='/t/x'>fleet</a>"),
    "k2 comments": _div("itemComments", "2 comments", "<p>Well put — Una</p>"),
    "brightspot": _div("PageListEnhancementGeneric", "More on this", _CARD),
    "brightspot item": _div("Enhancement-item", "Related:", _CARD),
    "brightspot letter": _div("NewsletterModuleInline", "The Tide", _EMAIL),
    "brightspot ad": _div("Advertisement", "Advertisement", "<p>Paint for hulls.</p>"),
    "blogger footer": _div("post-footer", "Posted by Ann at 10:14", "<span>Labels: fleet</span>"),
    "blogger pager": _div("blog-pager", "Newer Post", "<a href='/x'>Older Post</a>"),
    "mailchimp": _div("#mc_embed_signup", "Letters", _EMAIL),
    "mc4wp": _div("mc4wp-form", "Letters", _EMAIL + "<label>Leave this field empty</label>"),
    "mailpoet": _div("mailpoet_form", "Letters", _EMAIL),
    "signup": _div("box newsletter-signup", "Our week in your mail", "<p>Every Friday.</p>"),
    "onetrust": _div("#onetrust-consent-sdk", "We use cookies", "<p>To count our readers.</p>"),
    "cookiebot": _div("#CybotCookiebotDialog", "Cookies", "<p>We count our readers.</p>"),
    "cookie notice": _div("#cookie-notice", "Cookies", "<p>We count our readers.</p>"),
    "cookieyes": _div("cky-consent-container", "Cookies", "<p>We count our readers.</p>"),
    "complianz": _div("cmplz-cookiebanner", "Manage consent", "<p>We count our readers.</p>"),
    "quantcast": _div("#qc-cmp2-container", "Your choice", "<p>We count our readers.</p>"),
    "didomi": _div("#didomi-host", "Your choice", "<p>We count our readers.</p>"),
    "taboola": _div("#taboola-below-article", "Promoted content", _CARD),
    "outbrain": _div("OUTBRAIN ob-widget", "You May Like", _CARD),
    "disqus": _div("#disqus_thread", "Comments", "<p>Please enable scripts.</p>"),
    "respond": _div("#respond", "Leave a Reply", "<p>Your email address is kept secret.</p>"),
    "comments": _div("#comments", "One thought on the ship", "<p>Great ship! — Tom</p>"),
    "tweet": _marked(
        '<blockquote class="twitter-tweet">', "", "<p>%</p>— @port May 13, 2022", "</blockquote>"
    ),
    "author bio": _div("author-bio", "About the author", "<p>Ann Shore writes of ports.</p>"),
    "db ad": _div("db-ad--inarticle", "Advertisement", "<p>Paint for hulls.</p>"),
    "post summary": _div("post-summary-box", "In short", "<p>%</p>"),
    "twz": _div("pp-notice", "Tips: write to us", "<p>We read all letters.</p>"),
}  # fmt: skip


# How an unmarked phrase stands in a page, by its kind. `{phrase}`, `{other}`, `{link}`.
UNMARKED: dict[str, tuple[str, ...]] = {
    "related": (
        "<p>{phrase}: {link}</p>",
        "<p><strong>{phrase}: {link}</strong></p>",
        "<p><strong>{phrase}</strong>: <em>{link}</em></p>",
        '<p><a href="/2026/10/01/a/">{phrase}: {other}</a></p>',
        "<p><b>{phrase}</b></p><ul><li>{link}</li></ul>",
        "<h3>{phrase}</h3><ul><li>{link}</li><li>{link2}</li></ul>",
        "<div>{phrase} {link}</div>",
        "<div><strong>{phrase}</strong><br>{link}<br>{link2}</div>",
        '<div><h4>{phrase}</h4><div><a href="/d/"><img src="d.jpg"></a>{link}</div></div>',
        "<blockquote><p>{phrase}: {link}</p></blockquote>",
        "<ul><li>{phrase}: {link}</li></ul>",
    ),
    "share": (
        "<p>{phrase}</p>",
        "<div><span>{phrase}</span></div>",
        "<h5>{phrase}</h5>",
        '<div><strong>{phrase}</strong> <a href="https://facebook.example/sharer">Facebook</a></div>',
        '<p><a href="#">{phrase}</a></p>',
    ),
    "newsletter": (
        "<p><strong>{phrase}</strong></p>",
        '<p><a href="/newsletter/">{phrase}</a></p>',
        '<div><h4>{phrase}</h4><form><input type="email"><input type="submit"></form></div>',
        '<div><p>{phrase}</p><p>{blurb}</p><form><input name="email"></form></div>',
    ),
    "follow": (
        '<p>{phrase} <a href="https://t.me.example/x">Telegram</a></p>',
        '<p><em>{phrase} <a href="https://facebook.example/x">Facebook</a></em></p>',
        '<p>{phrase} <a href="https://news.google.example/x">Google News</a>!</p>',
    ),
    "ad": ("<p>{phrase}</p>", "<div>{phrase}</div>", "<div><small>{phrase}</small></div>"),
    "comment": ("<h3>{phrase}</h3>", "<p>{phrase}</p>", '<p><a href="#respond">{phrase}</a></p>'),
    "sentence": ("<p>{phrase}</p>", "<div><p>{phrase}</p></div>", "<p><em>{phrase}</em></p>"),
    "teaser": (
        "<p>{link}</p>",
        "<div>{link}</div>",
        "<h4>{link}</h4>",
        '<div><a href="/2026/10/05/e/"><img src="e.jpg"></a><h4>{link}</h4></div>',
        '<div><a href="/2026/10/05/e/"><img src="e.jpg"><span>{other}</span></a></div>',
        "<ul><li>{link}</li><li>{link2}</li></ul>",
        "<div><h4>{link}</h4><p>{other}. {blurb}</p></div>",
    ),
}  # fmt: skip
# Kinds that sites put at the end of a story and not between its paragraphs.
_AT_END = ("comment", "legal", "credit_end")


def unmarked(kind: str, text: Text, rng: random.Random) -> str:
    """Return a line or box of noise that no class gives away, in the story's language."""
    by_language = phrases().get(kind, {})
    pool = by_language.get(text.language) or by_language.get("en") or [""]
    if kind in ("share", "newsletter", "comment"):
        # Many a site in another language leaves the plugin's English.
        pool = [*pool, *by_language["en"]]
    form = rng.choice(UNMARKED[kind])
    return form.format(
        phrase=rng.choice(pool),
        other=text.other,
        link=_link(text.other),
        link2=_link(text.other + " (2)", 1),
        blurb=rng.choice(phrases()["blurb"].get(text.language, phrases()["blurb"]["en"])),
    )


# --- layouts --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Layout:
    """One site's form: the page around `{body}`, and the class that its paragraphs bear."""

    name: str
    page: str
    paragraph: str
    breaks: bool


@cache
def layouts() -> tuple[Layout, ...]:
    file = Path(__file__).with_name("layouts.toml")
    return tuple(Layout(**one) for one in tomllib.loads(file.read_text(encoding="utf-8"))["layout"])


# --- pages ----------------------------------------------------------------------------------


def make_page(seed: int) -> Page:
    """Return the page of `seed`: always the same."""
    rng = random.Random(seed)  # noqa: S311 - a choice that can be made again, no secret
    text, layout = rng.choice(texts()), rng.choice(layouts())
    parts = _story_parts(text, layout, rng)
    names: list[str] = []
    body = ""
    for index, (markup, _) in enumerate(parts):
        body += markup
        if layout.breaks:
            body += "<br><br>\n"
        if index < len(parts) - 1 and rng.random() < 0.45:
            body += _noise(text, rng, names, between=True)
    after = "".join(_noise(text, rng, names, between=False) for _ in range(rng.randint(1, 4)))
    end = "".join(_noise(text, rng, names, between=False, marked=True) for _ in range(2))
    fields = {"language": text.language, "headline": text.headline}
    html = layout.page.format(body=body, after=after, end=end, **fields)
    story = tuple(line for _, lines in parts for line in lines)
    return Page(html.encode(), story, layout.name, text.language, tuple(names))


def _story_parts(
    text: Text, layout: Layout, rng: random.Random
) -> list[tuple[str, tuple[str, ...]]]:
    """Return the parts of the story: each its markup and its lines."""
    parts = [(layout.paragraph.format(one), (one,)) for one in text.paragraphs]
    if rng.random() < 0.3:
        parts.insert(2, (f"<h2>{text.heading}</h2>", (text.heading,)))
    if rng.random() < 0.3:
        parts.insert(3, (f"<blockquote><p>{text.quote}</p></blockquote>", (text.quote,)))
    if rng.random() < 0.3:
        items = "".join(f"<li>{one}</li>" for one in text.items)
        parts.insert(2, (f"<ul>{items}</ul>", text.items))
    if rng.random() < 0.15:
        rows = "<tr><th>Corvina</th><th>40</th></tr><tr><td>Sarn</td><td>4</td></tr>"
        parts.insert(3, (f"<table>{rows}</table>", ("Corvina | 40", "Sarn | 4")))
    return parts


def _noise(
    text: Text, rng: random.Random, names: list[str], *, between: bool, marked: bool = False
) -> str:
    if marked or rng.random() < 0.4:
        name = rng.choice(list(PLATFORMS))
        names.append(name)
        return PLATFORMS[name](text, rng)
    kinds = [kind for kind in UNMARKED if not (between and kind in _AT_END)]
    kind = rng.choice(kinds)
    names.append(kind)
    return unmarked(kind, text, rng)


def make_pages(count: int, *, start: int = 0) -> Iterator[Page]:
    return (make_page(seed) for seed in range(start, start + count))
