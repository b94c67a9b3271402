"""Addresses of one article share a key; addresses of two never do."""

import contextlib
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.urls import canonical_url, host_of, is_home

ARTICLE = "https://www.gazette.example/naval/2025/03/14/frigate-refit-begins/"

SAME = [
    (ARTICLE, "http://gazette.example/naval/2025/03/14/frigate-refit-begins"),
    (ARTICLE, "HTTPS://WWW.Gazette.EXAMPLE/naval/2025/03/14/frigate-refit-begins/"),
    (ARTICLE, "https://gazette.example:443/naval/2025/03/14/frigate-refit-begins/"),
    (ARTICLE, "http://gazette.example:80/naval/2025/03/14/frigate-refit-begins/"),
    (ARTICLE, "https://gazette.example./naval/2025/03/14/frigate-refit-begins/"),
    (ARTICLE, "https://reader:secret@gazette.example/naval/2025/03/14/frigate-refit-begins/"),
    (ARTICLE, "  https:\\\\gazette.example\\naval\\2025/03/14/frigate-refit-begins\n"),
    (ARTICLE, ARTICLE + "#respond"),
    (ARTICLE, ARTICLE + "#:~:text=refit"),
    (ARTICLE, ARTICLE + "index.php"),
    (ARTICLE, ARTICLE + "?"),
    (ARTICLE, ARTICLE + "?utm_source=rss&utm_medium=feed&utm_campaign=daily"),
    (ARTICLE, ARTICLE + "?utm_source=rss&amp;utm_medium=feed"),
    (ARTICLE, ARTICLE + "?UTM_Source=rss"),
    (ARTICLE, ARTICLE + "?fbclid=aa&msclkid=bb&yclid=1&igshid=cc&_ga=2.1"),
    (ARTICLE, ARTICLE + "?oref=daily_nl&oly_enc_id=4F&mkt_tok=x"),
    (ARTICLE, ARTICLE + "?share=telegram"),
    (ARTICLE, ARTICLE + "?source=GovDelivery"),
    (ARTICLE, ARTICLE + "?outputType=amp"),
    (ARTICLE, ARTICLE + "?amp"),
    (ARTICLE, ARTICLE + "?amp=1&amp_js_v=0.1"),
    (ARTICLE, ARTICLE + "?print=print"),
    (ARTICLE, ARTICLE + "amp/"),
    (ARTICLE, ARTICLE + "amp"),
    (ARTICLE, ARTICLE + "print/"),
    (ARTICLE, ARTICLE + "feed/"),
    (ARTICLE, ARTICLE + "feed/atom/"),
    (ARTICLE, ARTICLE + "embed/"),
    (ARTICLE, ARTICLE + "comment-page-3/#comment-99"),
    (ARTICLE, "https://m.gazette.example/naval/2025/03/14/frigate-refit-begins/"),
    (ARTICLE, "https://mobile.gazette.example/naval/2025/03/14/frigate-refit-begins/"),
    (ARTICLE, "https://amp.gazette.example/naval/2025/03/14/frigate-refit-begins/"),
    (ARTICLE, "https://gazette.example/amp/naval/2025/03/14/frigate-refit-begins/"),
    (ARTICLE, "https://gazette.example//naval//2025/03/14/frigate-refit-begins/"),
    (ARTICLE, "https://gazette.example/naval/x/../2025/./03/14/frigate-refit-begins/"),
    (ARTICLE, "https://gazette.example/naval/%2e%2E/naval/2025/03/14/frigate-refit-begins/"),
    (ARTICLE, "https://gazette.example/naval/2025/03/14/%66rigate%2Drefit-begins/"),
    (
        ARTICLE,
        "https://www.google.com/amp/s/www.gazette.example/naval/2025/03/14/frigate-refit-begins/amp/",
    ),
    (
        ARTICLE,
        "https://cdn.ampproject.org/v/s/gazette.example/naval/2025/03/14/frigate-refit-begins/?usqp=x",
    ),
    (
        ARTICLE,
        f"https://google.com/url?sa=t&q={quote(ARTICLE, safe='')}&ct=ga",
    ),
    ("https://fr.m.pedia.example/wiki/Drone", "https://fr.pedia.example/wiki/Drone"),
    ("https://post.example/18231-tank.html/amp", "https://post.example/18231-tank.html"),
    ("https://post.example/18231-tank.amp.html", "https://post.example/18231-tank.html"),
    ("https://post.example/world-71000000.amp", "https://post.example/world-71000000"),
    ("https://post.example/n?b=2&a=1&a=0", "https://post.example/n?a=1&a=0&b=2"),
    ("https://post.example/n.php;jsessionid=AA01?id=5", "https://post.example/n.php?id=5"),
    (
        "https://post.example/n?sid=0123456789abcdef0123456789abcdef&id=5",
        "https://post.example/n?id=5",
    ),
    (ARTICLE, ARTICLE + "?sid=abc123"),
    (ARTICLE + "?sid=9f3a7c", ARTICLE + "?SID=abc123"),
    ("https://post.example/n.php?id=5&sid=7h2k9d", "https://post.example/n.php?id=5"),
    (
        "https://post.example/news/frigate-refit-begins?sess=a1b2c3d4",
        "https://post.example/news/frigate-refit-begins",
    ),
    ("https://post.example/n?q=two+words", "https://post.example/n?q=two%20words"),
    ("https://post.example/n?u=%2Fa%3Ab", "https://post.example/n?u=/a:b"),
    (
        "https://post.example/ναυτικό",
        "https://post.example/%CE%BD%CE%B1%CF%85%CF%84%CE%B9%CE%BA%CF%8C",
    ),
    ("https://post.example/a%c3%a9", "https://post.example/a%C3%A9"),
    ("https://post.example/don%27t", "https://post.example/don't"),
    ("https://άμυνα.example/x", "https://XN--hxak6ae3b.example/x"),
    (
        "https://blog.example/2025/03/losses.html?m=1",
        "https://blog.example/2025/03/losses.html",
    ),
    ("https://www.cnn.com/2025/03/14/x?cid=feed", "https://edition.cnn.com/2025/03/14/x"),
    (
        "https://www.navy.mil/Press/Article/4100099/carrier-returns/",
        "https://www.navy.mil/Press/Article/4100099/",
    ),
    ("https://[2001:DB8::1]/a", "https://[2001:db8:0:0::1]/a"),
    ("https://post.example:8443/a/", "https://post.example:8443/a"),
]

DIFFERENT = [
    ("http://127.0.0.1:8801/a", "http://127.0.0.1:8802/a"),
    ("https://post.example/?p=5", "https://post.example/?p=6"),
    ("https://post.example/?p=5", "https://post.example/"),
    ("https://post.example/news.php?sid=5", "https://post.example/news.php?sid=6"),
    ("https://post.example/news.php?sid=ab12cd", "https://post.example/news.php?sid=ef34gh"),
    (
        "https://post.example/read-the-story.php?sid=5",
        "https://post.example/read-the-story.php?sid=6",
    ),
    (ARTICLE + "?sid=5", ARTICLE),
    (ARTICLE + "?session=panel12", ARTICLE + "?session=panel13"),
    ("https://post.example/news?session=day2", "https://post.example/news?session=day3"),
    ("https://post.example/n?id=ab12cd&p=5", "https://post.example/n?id=ef34gh&p=5"),
    ("https://post.example/n?cid=5", "https://post.example/n?cid=6"),
    ("https://post.example/n?ref=5", "https://post.example/n?ref=6"),
    ("https://post.example/n?source=army", "https://post.example/n?source=navy"),
    ("https://post.example/n?print=5", "https://post.example/n?print=6"),
    ("https://post.example/n?trk=5", "https://post.example/n?trk=6"),
    ("https://post.example/n?a=1&a=2", "https://post.example/n?a=2&a=1"),
    ("https://post.example/n?lang=en", "https://post.example/n?lang=el"),
    ("https://post.example/story?page=2", "https://post.example/story"),
    ("https://post.example/n?m=202503", "https://post.example/n?m=202504"),
    ("https://post.example/a%2Fb-c", "https://post.example/a/b-c"),
    ("https://post.example/a%3Fb", "https://post.example/a?b"),
    ("https://post.example/q?a=1%26b=2", "https://post.example/q?a=1&b=2"),
    ("https://post.example/q?a=1%2B1", "https://post.example/q?a=1+1"),
    ("https://post.example/100%25-up", "https://post.example/100-up"),
    ("https://post.example/A", "https://post.example/a"),
    ("https://post.example/company/amp", "https://post.example/company"),
    ("https://post.example/news/amplified", "https://post.example/news/lified"),
    ("https://post.example/print", "https://post.example/"),
    ("https://post.example/feed/", "https://post.example/"),
    ("https://post.example/category/tech/feed/", "https://post.example/category/tech/"),
    ("https://post.example/index.html.bak", "https://post.example/"),
    ("https://amp.com.au/x", "https://com.au/x"),
    ("https://m.example/x-y-z", "https://example/x-y-z"),
    ("https://mil.example/x", "https://example/x"),
    ("https://magazine.post.example/x", "https://post.example/x"),
    ("https://en.post.example/x", "https://uk.post.example/x"),
    ("https://faß.example/x", "https://fass.example/x"),
    ("https://post.example/#!/story/1", "https://post.example/#!/story/2"),
    ("https://post.example/Article/12345/part-one", "https://post.example/Article/12345/part-two"),
    ("https://post.example/2025/03/14/21:00", "https://post.example/2025/03/14/18:00"),
    ("https://post.example/post/1929001", "https://post.example/post/1929002"),
    ("https://www.google.com/amp/s/a.example/x", "https://www.google.com/amp/s/b.example/x"),
]

# The forms that addresses of defence news have, each as two stories of one site: date and slug,
# number and slug, number alone, number in the query, node, section and slug, compact date, …
FORMS = [
    ("gazette.example", "/frigate-refit-begins/", "/frigate-refit-ends/"),
    ("gazette.example", "/el/fregata-se-episkevi/", "/fregata-se-episkevi/"),
    (
        "gazette.example",
        "/naval/sub/2025/03/14/frigate-refit/",
        "/naval/sub/2025/03/15/frigate-refit/",
    ),
    ("gazette.example", "/2025/03/frigate-refit/", "/2025/04/frigate-refit/"),
    (
        "gazette.example",
        "/business/2025/03/frigate-refit/403777/",
        "/business/2025/03/frigate-refit/403778/",
    ),
    ("gazette.example", "/the-yard/38211/frigate-refit", "/the-yard/38212/frigate-refit"),
    (
        "gazette.example",
        "/daily-news/2025/03/14/frigate.html",
        "/daily-news/2025/03/15/frigate.html",
    ),
    (
        "gazette.example",
        "/navy/2025-03-14/frigate-refit-17123456.html",
        "/navy/2025-03-14/frigate-refit-17123457.html",
    ),
    ("gazette.example", "/articles/2025/3/14/frigate-refit", "/articles/2025/3/4/frigate-refit"),
    ("gazette.example", "/frigate-refit-02714/", "/frigate-refit-02715/"),
    ("gazette.example", "/frigate-refit-begins/congress/", "/frigate-refit-begins/cyber/"),
    (
        "gazette.example",
        "/defense-space/sea-power/frigate-refit",
        "/defense-space/air-power/frigate-refit",
    ),
    (
        "gazette.example",
        "/home/article/55273641/frigate-refit",
        "/home/article/55273642/frigate-refit",
    ),
    (
        "gazette.example",
        "/articles/2025/03/14/frigate_refit_1097001.html",
        "/articles/2025/03/14/frigate_refit_1097002.html",
    ),
    ("gazette.example", "/news/492761/frigate-refit", "/news/492762/frigate-refit"),
    (
        "gazette.example",
        "/2025/03/major-news/43127/frigate-refit/",
        "/2025/03/major-news/43128/frigate-refit/",
    ),
    ("gazette.example", "/news/navy-news/2025/frigate-refit", "/news/army-news/2025/frigate-refit"),
    ("gazette.example", "/20250314_frigate-refit.html", "/20250315_frigate-refit.html"),
    ("gazette.co.example", "/en/node/63451", "/en/node/63452"),
    ("gazette.com.example", "/naval/16111-frigate-refit", "/naval/16112-frigate-refit"),
    ("gazette.example", "/en/content/frigate-refit-5511", "/en/content/frigate-refit-5512"),
    (
        "gazette.example",
        "/texto-diario/mostrar/5211002/fragata-varada",
        "/texto-diario/mostrar/5211003/fragata-varada",
    ),
    (
        "gazette.example",
        "/rubric-sea/3970001-frigate-refit.html",
        "/rubric-sea/3970002-frigate-refit.html",
    ),
    ("gazette.example", "/261001-frigate-refit.html", "/261002-frigate-refit.html"),
    ("gazette.example", "/defense/1929001", "/defense/1929002"),
    ("gazette.example", "/news/2025314/38111-a.html", "/news/2025314/38112-a.html"),
    ("gazette.example", "/amyna/812345_fregata-se-episkevi", "/amyna/812346_fregata-se-episkevi"),
    ("en.gazette.example", "/view/AEN20250314000100315", "/view/AEN20250314000200315"),
    ("gazette.example", "/cps/en/hq/news_233001.htm", "/cps/en/hq/news_233002.htm"),
    ("gazette.example", "/shownews/6711/fregata-in-cantiere", "/shownews/6712/fregata-in-cantiere"),
    ("gazette.example", "/news.php?id=8812", "/news.php?id=8813"),
    ("gazette.example", "/?p=41200", "/?p=41201"),
    (
        "gazette.example",
        "/index.php?option=com_content&view=article&id=77",
        "/index.php?option=com_content&view=article&id=78",
    ),
    (
        "gazette.example",
        "/%CF%86%CF%81%CE%B5%CE%B3%CE%AC%CF%84%CE%B1-1/",
        "/%CF%86%CF%81%CE%B5%CE%B3%CE%AC%CF%84%CE%B1-2/",
    ),
]


def _with_query(path: str, more: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}{more}"


# What such an address is decorated with where it is linked: all are the story.
DECORATIONS = {
    "tracked": lambda host, path: f"https://{host}{_with_query(path, 'utm_source=x&fbclid=y')}",
    "from its feed": lambda host, path: f"http://www.{host}{_with_query(path, 'utm_medium=rss')}",
    "mobile": lambda host, path: f"https://m.{host}{path}",
    "AMP by its host": lambda host, path: f"https://amp.{host}{path}",
    "AMP by a parameter": lambda host, path: f"https://{host}{_with_query(path, 'outputType=amp')}",
    "AMP by a viewer": lambda host, path: f"https://www.google.com/amp/s/{host}{path}",
    "printed": lambda host, path: f"https://{host}{_with_query(path, 'print=1')}",
    "at its comments": lambda host, path: f"https://{host}{path}#comments",
    "without its last slash": lambda host, path: f"https://{host}{path.rstrip('/')}",
}


@pytest.mark.parametrize("decoration", DECORATIONS)
@pytest.mark.parametrize(("host", "one", "other"), FORMS)
def test_a_decorated_address_of_any_form_is_its_story_and_no_other(
    host: str, one: str, other: str, decoration: str
) -> None:
    decorated = canonical_url(DECORATIONS[decoration](host, one))
    assert decorated == canonical_url(f"https://{host}{one}") == canonical_url(decorated)
    assert decorated != canonical_url(f"https://{host}{other}")


@pytest.mark.parametrize(("host", "one"), [form[:2] for form in FORMS])
def test_an_unknown_parameter_stays_in_the_key(host: str, one: str) -> None:
    key = canonical_url(f"https://{host}{_with_query(one, 'edition=7&utm_source=x')}")
    assert "edition=7" in key
    assert key != canonical_url(f"https://{host}{one}")


# Behind the last word of these a form may as well be a section's, whose feed is no story.
_NO_FORM_BEHIND = {"/frigate-refit-begins/congress/"}


@pytest.mark.parametrize("suffix", ["amp", "amp/", "print/", "feed/", "embed/"])
@pytest.mark.parametrize(
    ("host", "one"),
    [(host, one) for host, one, _ in FORMS if "?" not in one and one not in _NO_FORM_BEHIND],
)
def test_a_form_at_the_paths_end_is_its_story(host: str, one: str, suffix: str) -> None:
    form = canonical_url(f"https://{host}{one.rstrip('/')}/{suffix}")
    assert form == canonical_url(f"https://{host}{one}")


@pytest.mark.parametrize(
    "host", ["old-gazette.example", "www.old-gazette.example", "m.old-gazette.example",
             "gazette.co.example", "amp.gazette.example"],
)  # fmt: skip
@pytest.mark.parametrize(("one", "other"), [(one, other) for _, one, other in FORMS])
def test_a_sites_further_hosts_are_the_site_and_a_strangers_are_not(
    host: str, one: str, other: str
) -> None:
    aliases = {"old-gazette.example": "gazette.example", "gazette.co.example": "gazette.example"}
    key = canonical_url(f"https://gazette.example{one}", aliases=aliases)
    assert canonical_url(f"https://{host}{one}", aliases=aliases) == key
    assert canonical_url(f"https://{host}{other}", aliases=aliases) != key
    assert canonical_url(f"https://stranger.example{one}", aliases=aliases) != key


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_addresses_of_one_article_share_a_key(one: str, other: str) -> None:
    assert canonical_url(one) == canonical_url(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_addresses_of_two_articles_have_two_keys(one: str, other: str) -> None:
    assert canonical_url(one) != canonical_url(other)


def test_an_alias_makes_one_site_of_two_hosts() -> None:
    aliases = {"old-gazette.example": "www.gazette.example"}
    assert canonical_url("https://www.old-gazette.example/a", aliases=aliases) == canonical_url(
        "https://gazette.example/a"
    )


def test_a_ring_of_aliases_still_gives_one_key() -> None:
    ring = {"a.example": "b.example", "b.example": "a.example"}
    assert canonical_url("https://a.example/x", aliases=ring) == canonical_url(
        "https://b.example/x", aliases=ring
    )


def test_a_relative_address_is_read_against_its_page() -> None:
    key = canonical_url("../b?utm_source=x", "https://gazette.example/news/a/")
    assert key == "https://gazette.example/news/b"
    assert canonical_url("//post.example/b", "http://gazette.example/") == "https://post.example/b"


@pytest.mark.parametrize(
    "bad",
    [
        "", "   ", "story.html", "mailto:desk@gazette.example", "javascript:void(0)", "http://",
        "https:///", "ftp://gazette.example/a", "https://gazette.example:99999/", "https://[::1/",
        "https://a..example/", "https://exa mple/", "https://\ud800.example/",
        "https://" + "a" * 40_000,
    ],
)  # fmt: skip
def test_what_is_no_web_address_is_refused_by_name(bad: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        canonical_url(bad)


def test_the_host_keeps_a_port_that_is_odd() -> None:
    assert host_of("http://127.0.0.1:8801/a") == "127.0.0.1:8801"
    assert host_of("https://WWW.Gazette.example:443/a") == "gazette.example"


def test_home_pages_are_known_and_articles_are_none() -> None:
    assert is_home("https://www.gazette.example/?utm_source=x")
    assert is_home("https://gazette.example/el/")
    assert not is_home("https://gazette.example/?p=5")
    assert not is_home(ARTICLE)


# Letters that the rules look for, so that random addresses meet them.
_BITS = st.sampled_from(
    ["https://", "http://", "www.", "m.", "amp.", "google.com", "gazette.example", "/amp", "/s",
     "/", "//", "..", ".", "?", "&", "&amp;", "=", "#", "#!", "%", "%2", "%2F", "%3B", "%41", "%25",
     "utm_x", "amp", ";jsessionid=1", "index.html", ":443", ":80", "Article/12345", "a-b-c",
     "é", "ß",
     "\\", "+", " ", "@", "[", "]", "/url?url=", "feed", "m=1", "/2025/03/x.html"]
)  # fmt: skip
_ADDRESSES = st.one_of(
    st.text(max_size=40),
    st.lists(_BITS, max_size=12).map("".join),
    st.lists(_BITS, max_size=12).map(lambda bits: "https://gazette.example/" + "".join(bits)),
)


@settings(max_examples=600, deadline=None)
@given(_ADDRESSES)
def test_the_key_of_a_key_is_itself_and_only_value_errors_are_raised(url: str) -> None:
    with contextlib.suppress(ValueError):
        key = canonical_url(url)
        assert canonical_url(key) == key
        assert key.isascii()
