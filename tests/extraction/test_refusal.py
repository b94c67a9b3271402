"""What is no article is refused with its reason; an article, however short, is not."""

from __future__ import annotations

import pytest

from crawler.extraction import extract

HOST = "https://harbour.example"
URL = f"{HOST}/2026/11/convoy-leaves-port/"
TEXT = (
    "The first convoy of the winter left the port on Tuesday with nine ships, two of them "
    "carrying bridging equipment for the brigade in the north, the harbour master said."
)


def page(title: str, body: str, head: str = "") -> bytes:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>{head}'
        '</head><body><header><nav><a href="/navy/">Navy</a><a href="/air/">Air</a></nav></header>'
        f"<main>{body}</main><footer><p>© Harbour Gazette</p></footer></body></html>"
    ).encode()


def cards(count: int) -> str:
    return "".join(
        f'<div class="c"><h3><a href="/2026/11/{n}/">Story number {n} about the fleet</a></h3>'
        f"<p>{TEXT}</p></div>"
        for n in range(count)
    )


LIST_HEAD = '<script type="application/ld+json">{"@type": "CollectionPage", "name": "x"}</script>'
VIDEO_HEAD = '<script type="application/ld+json">{"@type": "VideoObject", "name": "x"}</script>'


@pytest.mark.parametrize(
    ("url", "html", "reason"),
    [
        (URL, page("Error 404: Page not found", "<p>Try the search.</p>"), "soft_404"),
        (URL, page("404 – Harbour Gazette", "<p>Try the search.</p>"), "soft_404"),
        (URL, page("Seite nicht gefunden | Hafenblatt", "<p>Leider nein.</p>"), "soft_404"),
        (URL, page("Страница не найдена", "<p>Попробуйте поиск.</p>"), "soft_404"),
        (
            URL,
            page("Harbour Gazette", "<p>The page you are looking for has moved or is gone.</p>"),
            "soft_404",
        ),
        (URL, page("harbour.example", "<p>Checking your browser, a moment…</p>"), "bot_wall"),
        (URL, page("Attention Required! | Cloudflare", "<p>You are blocked.</p>"), "bot_wall"),
        (URL, page("502 Bad Gateway", "<center>nginx</center>"), "bot_wall"),
        (URL, page("harbour.example | 521: Web server is down", "<p>Host: error</p>"), "bot_wall"),
        (
            URL,
            page("Harbour Gazette", "<p>You need to enable JavaScript to run this app.</p>"),
            "bot_wall",
        ),
        (
            URL,
            page("We value your privacy", f"<p>{TEXT}</p>" * 5),
            "consent_wall",
        ),
        (
            URL,
            page("Harbour Gazette", "<p>We and our partners store data on your device.</p>"),
            "consent_wall",
        ),
        (URL, page("Harbour Gazette", '<div id="root"></div><script>go()</script>'), "empty"),
        (URL, page("Convoy, filmed", "<p>See it leave.</p>", VIDEO_HEAD), "video"),
        (f"{HOST}/", page("Harbour Gazette", cards(8)), "listing"),
        (f"{HOST}/tag/navy/", page("Navy", cards(4)), "listing"),
        (f"{HOST}/author/anna/", page("Anna Petrou", f"<p>{TEXT}</p>{cards(5)}"), "listing"),
        (f"{HOST}/?s=frigate", page("Search results", cards(5)), "listing"),
        (f"{HOST}/fleet/", page("Fleet", cards(5), LIST_HEAD), "listing"),
        (f"{HOST}/fleet/", page("Fleet", cards(12)), "listing"),
    ],
)
def test_what_is_no_article_is_refused_with_its_reason(url: str, html: bytes, reason: str) -> None:
    assert extract(html, url).refusal == reason


@pytest.mark.parametrize(
    ("title", "reason"),
    [
        ("Page introuvable - Gazette du Port", "soft_404"),
        ("Página no encontrada | Gaceta", "soft_404"),
        ("Pagina non trovata – Gazzetta", "soft_404"),
        ("Nie znaleziono strony", "soft_404"),
        ("Сторінку не знайдено", "soft_404"),
        ("Sayfa bulunamadı", "soft_404"),
        ("Η σελίδα δεν βρέθηκε", "soft_404"),
        ("Sidan hittades inte", "soft_404"),
        ("Pagina niet gevonden | Courant", "soft_404"),
        ("ページが見つかりません", "soft_404"),
        ("페이지를 찾을 수 없습니다", "soft_404"),
        ("页面不存在", "soft_404"),
        ("الصفحة غير موجودة", "soft_404"),
        ("410 Gone", "soft_404"),
        ("Just a moment...", "bot_wall"),
        ("Access Denied", "bot_wall"),
        ("429 Too Many Requests", "bot_wall"),
        ("503 Service Unavailable", "bot_wall"),
        ("Are you a robot? | Harbour Gazette", "bot_wall"),
        ("Zugriff verweigert", "bot_wall"),
        ("Доступ запрещен", "bot_wall"),
        ("Before you continue | Harbour Gazette", "consent_wall"),
        ("Datenschutzeinstellungen - Hafenblatt", "consent_wall"),
        ("Nous respectons votre vie privée", "consent_wall"),
        ("Twoja prywatność", "consent_wall"),
    ],
)
def test_page_that_says_in_its_title_that_it_is_none_is_refused(title: str, reason: str) -> None:
    """However its few lines are worded: no list has them all."""
    body = "<p>Zq vb nm, kl op rt.</p><p>Xc vb, nm as df gh jk.</p>"
    assert extract(page(title, f"<h1>{title}</h1>{body}"), URL).refusal == reason


@pytest.mark.parametrize(
    "path",
    [
        "/tags/frigates/", "/schlagwort/fregatten/", "/etiquette/fregates/", "/mot-cle/fregate/",
        "/kategorie/marine/", "/categoria/marina/page/3/", "/category/navy/frigates/",
        "/de/autoren/anna-petrou/", "/yazar/anna/", "/suche/fregatte/", "/rubrique/marine/",
        "/archive/2026/",
    ],
)  # fmt: skip
def test_page_of_a_tag_an_author_or_a_search_is_a_listing_in_any_language(path: str) -> None:
    assert extract(page("Fregatten", cards(4)), HOST + path).refusal == "listing"


@pytest.mark.parametrize(
    "path",
    [
        "/category/navy/2026/11/convoy-leaves-port-in-the-night/",
        "/thema-des-tages/der-hafen-am-abend/",
        "/archive/2026/11/17/convoy-leaves-port/",
        "/search-for-the-lost-tug-goes-on/",
        "/2026/11/tag-der-marine/",
        "/autor-of-the-plan-speaks/",
    ],
)
def test_story_whose_address_has_such_a_word_is_no_listing(path: str) -> None:
    body = f"<h1>Convoy leaves port</h1><p>{TEXT}</p><p>{TEXT[:-1]}, at noon.</p>{cards(2)}"
    assert extract(page("Convoy leaves port", body), HOST + path).refusal is None


@pytest.mark.parametrize(
    "body",
    [
        # A flash, a gallery, a film with its story, a list, a table, an interview, a letter.
        f"<p>{TEXT}</p>",
        f'<figure><img src="a.jpg"><figcaption>The tug.</figcaption></figure><p>{TEXT}</p>' * 2,
        f'<iframe src="https://video.example/1"></iframe><p>{TEXT}</p><p>{TEXT[:-1]} again.</p>',
        f"<p>{TEXT}</p><ul>{'<li>A ship of the convoy</li><li>A tug beside it</li>' * 5}</ul>",
        f"<p>{TEXT}</p><table><tr><td>Ships</td><td>9</td></tr><tr><td>Tugs</td><td>2</td></tr></table>",
        f"<p><b>Why now?</b></p><p>{TEXT}</p><p><b>And then?</b></p><p>{TEXT[:-1]}, once more.</p>",
        f"<p>Dear editor,</p><p>{TEXT}</p><p>Your reader in Lathen</p>",
        f"<p>{TEXT}</p><p>We use cookies, said the cook, to bribe the gulls.</p>",
        f"<p>{TEXT}</p><p>Access was denied to nobody, the harbour master said.</p>",
        f"<p>The page was not found in the log of the tug.</p><p>{TEXT}</p>",
        f"<p>{TEXT}</p><p>Please verify, the admiral said, that you are human first.</p>",
        f"<p>{TEXT}</p><p>Subscribe to the harbour's own letter, he advised.</p>",
    ],
)  # fmt: skip
def test_story_of_whatever_form_and_words_is_no_other_page(body: str) -> None:
    html = page("Convoy leaves port | Harbour Gazette", f"<h1>Convoy leaves port</h1>{body}")
    article = extract(html, URL)
    assert article.refusal is None
    assert TEXT[:-1] in article.article_body


@pytest.mark.parametrize(
    ("title", "body"),
    [
        ("Forbidden: the strait that no one may cross", f"<p>{TEXT}</p>"),
        ("Access denied: how the blockade works", f"<p>{TEXT}</p>"),
        ("Not found: the mine that sank the ferry", f"<p>{TEXT}</p>"),
        ("Convoy leaves port", f"<p>{TEXT}</p><h2>More from the port</h2>{cards(12)}"),
        ("Convoy leaves port", f"<time datetime='2026-11-17'>17 November</time><p>{TEXT}</p>"),
        ("第三艘猎雷舰加入海峡巡逻", "<p>" + "舰队司令部表示，猎雷舰于星期一晚间离开船厂。" * 3),
        ("We use cookies and crumbs to feed the gulls", f"<p>{TEXT}</p>" * 2),
    ],
)
def test_article_is_not_refused_for_its_words_its_length_or_its_neighbours(
    title: str, body: str
) -> None:
    head = '<meta property="og:type" content="article">'
    html = page(f"{title} | Harbour Gazette", f"<h1>{title}</h1>{body}", head)
    assert extract(html, URL).refusal is None


@pytest.mark.parametrize(
    "title",
    [
        "A 404 page that became a museum piece",
        "Page not found: the lost logbook of the ferry",
        "Cookies are baked for the fleet again",
        "Just a moment: how the pilot saved the trawler",
        "Access denied: three crews tell of the blockade",
        "Captcha puzzles delay the harbour tender",
        "Fehler 404: Wie ein Schlepper verschwand",
        "Доступ запрещён: порт закрыли на неделю",
        "Search results: divers find the anchor",
        "JavaScript runs the new lock gates",
    ],
)
def test_an_unmarked_story_is_not_refused_for_the_words_of_its_headline(title: str) -> None:
    html = page(f"{title} | Harbour Gazette", f"<h1>{title}</h1><p>{TEXT}</p><p>{TEXT} Again.</p>")
    assert extract(html, URL).refusal is None


def test_long_read_among_many_cards_is_no_listing() -> None:
    long = "".join(f"<p>{TEXT} {TEXT[:-1]}, said number {n} of its crew.</p>" for n in range(6))
    html = page("The convoy", f"<h1>The convoy</h1>{long}{cards(30)}")
    assert extract(html, f"{HOST}/article/9491-convoy.html").refusal is None
