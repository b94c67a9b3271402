"""Feeds as sites serve them: what is read, and what is said of what could not be."""

import pytest

from crawler.discovery import Discovered, discover
from crawler.site import Site
from pipelines.errors import DiscoveryError
from pipelines.model import Hints, Kind

URL = "https://gazette.example/feed/"


def read(site: Site, body: str | bytes, **headers: str) -> Discovered:
    content = body.encode() if isinstance(body, str) else body
    return discover(Kind.FEED, content, URL, site=site, headers=headers)


def hints(site: Site, body: str | bytes, **headers: str) -> Hints:
    return read(site, body, **headers).links[0].hints


def rss(*items: str, channel: str = "<link>https://gazette.example/</link>") -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0"'
        ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:atom="http://www.w3.org/2005/Atom"'
        ' xmlns:media="http://search.yahoo.com/mrss/"'
        ' xmlns:feedburner="http://rssnamespace.org/feedburner/ext/1.0">'
        f"<channel><title>Harbour Gazette</title>{channel}{''.join(items)}</channel></rss>"
    )


WORDPRESS_ITEM = """
<item>
  <title>Refit of the &#8220;Aegis&#8221; frigates begins</title>
  <link>https://gazette.example/naval/refit-begins/?utm_source=rss</link>
  <dc:creator><![CDATA[Eleni Markou]]></dc:creator>
  <pubDate>Fri, 14 Mar 2025 08:15:00 +0200</pubDate>
  <atom:updated>2025-03-14T09:00:00Z</atom:updated>
  <category><![CDATA[Navy & Coast Guard]]></category>
  <category>Refits</category>
  <guid isPermaLink="false">https://gazette.example/?p=4711</guid>
  <description><![CDATA[<p>Work on the first hull starts in May &#8211; two months late
[&#8230;]</p>
<p>Το άρθρο <a href="https://gazette.example/naval/refit-begins/">Refit</a> εμφανίστηκε στη
<a href="https://gazette.example">Gazette</a>.</p>]]></description>
  <media:content url="/img/aegis-300.jpg" medium="image" width="300"/>
  <media:content url="/img/aegis-1200.jpg" medium="image" width="1200"/>
</item>"""


def test_an_rss_item_carries_all_that_it_says_of_its_article(site: Site) -> None:
    found = read(site, rss(WORDPRESS_ITEM, channel="<language>en-GB</language>"))
    (link,) = found.links
    assert link.url == "https://gazette.example/naval/refit-begins/?utm_source=rss"
    assert (link.kind, link.found_at, found.warnings) == (Kind.FEED, URL, ())
    assert link.hints == Hints(
        source="feed",
        headline="Refit of the “Aegis” frigates begins",
        description="Work on the first hull starts in May – two months late…",
        authors=("Eleni Markou",),
        date_published="Fri, 14 Mar 2025 08:15:00 +0200",
        date_modified="2025-03-14T09:00:00Z",
        in_language="en-GB",
        keywords=("Navy & Coast Guard", "Refits"),
        image_url="https://gazette.example/img/aegis-1200.jpg",
    )


def test_an_atom_entry_is_read_with_its_page_before_its_other_links(site: Site) -> None:
    body = """<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="uk" xml:base="https://gazette.example/uk/">
      <title>Вісник</title><link rel="self" href="/feed/"/><link rel="next" href="?page=2"/>
      <entry><title type="html">Новий &lt;em&gt;корвет&lt;/em&gt;</title>
        <link rel="alternate" type="application/json" href="corvette.json"/>
        <link rel="alternate" type="text/html" href="corvette"/>
        <link rel="enclosure" type="image/jpeg" href="/img/c.jpg"/>
        <id>tag:gazette.example,2025:1</id>
        <published>2025-03-14T10:00:00+02:00</published><updated>2025-03-15T07:30:00Z</updated>
        <author><name>Олена Коваль</name></author><category term="navy" label="Флот"/>
        <summary type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">
        <p>Перший <b>з</b> трьох.</p>
        </div></summary></entry></feed>"""
    found = read(site, body)
    assert [link.url for link in found.links] == ["https://gazette.example/uk/corvette"]
    assert found.next_pages == ("https://gazette.example/feed/?page=2",)
    assert found.links[0].hints == Hints(
        source="feed",
        headline="Новий корвет",
        description="Перший з трьох.",
        authors=("Олена Коваль",),
        date_published="2025-03-14T10:00:00+02:00",
        date_modified="2025-03-15T07:30:00Z",
        in_language="uk",
        keywords=("Флот",),
        image_url="https://gazette.example/img/c.jpg",
    )


def test_rss_1_0_keeps_its_items_beside_the_channel_and_is_read_the_same(site: Site) -> None:
    body = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
      xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/">
      <channel rdf:about="https://gazette.example/"><title>G</title></channel>
      <item rdf:about="https://gazette.example/a"><title>A</title><dc:date>2025-03-14</dc:date></item>
      <item rdf:about="x"><link>https://gazette.example/b</link><title>B</title></item></rdf:RDF>"""
    found = read(site, body)
    assert [link.url for link in found.links] == [
        "https://gazette.example/a",
        "https://gazette.example/b",
    ]
    assert found.links[0].hints.date_published == "2025-03-14"


def test_the_publishers_own_address_stands_before_the_counting_one(site: Site) -> None:
    item = (
        "<item><title>A</title><link>https://feeds.counter.example/~r/1</link>"
        "<feedburner:origLink>https://gazette.example/a</feedburner:origLink></item>"
    )
    assert read(site, rss(item)).links[0].url == "https://gazette.example/a"


@pytest.mark.parametrize(
    ("item", "url"),
    [
        ("<guid>https://gazette.example/a</guid>", "https://gazette.example/a"),
        ("<guid isPermaLink='false'>https://gazette.example/?p=1</guid>", "https://gazette.example/?p=1"),
        ("<link>//gazette.example/a</link>", "https://gazette.example/a"),
        ("<link>\n  /a b\n</link>", "https://gazette.example/a b"),
        ("<link><![CDATA[https://gazette.example/a?x=1&copy=2]]></link>", "https://gazette.example/a?x=1&copy=2"),
        ("<link>https://gazette.example/a?x=1&amp;y=2</link>", "https://gazette.example/a?x=1&y=2"),
        ("<link>https://gazette.example/a?x=1&y=2</link>", "https://gazette.example/a?x=1&y=2"),
        ("<link href='https://gazette.example/a'/>", "https://gazette.example/a"),
        ("<atom:link href='https://gazette.example/a'/>", "https://gazette.example/a"),
    ],
)  # fmt: skip
def test_an_address_is_found_wherever_the_item_has_it(site: Site, item: str, url: str) -> None:
    found = read(site, rss(f"<item><title>A</title>{item}</item>"))
    assert [link.url for link in found.links] == [url]


def test_an_item_without_any_web_address_is_counted_and_left_out(site: Site) -> None:
    found = read(site, rss("<item><title>A</title><guid>4711</guid></item>", WORDPRESS_ITEM))
    assert len(found.links) == 1
    assert found.warnings == ("1 of 2 entries have no web address",)


@pytest.mark.parametrize(
    ("author", "names"),
    [
        ("<author>desk@gazette.example (Ann Roe)</author>", ("Ann Roe",)),
        ("<author>Ann Roe &lt;desk@gazette.example&gt;</author>", ("Ann Roe",)),
        ("<author>desk@gazette.example</author>", ()),
        ("<dc:creator>Ann Roe</dc:creator><dc:creator>Jo Doe</dc:creator>", ("Ann Roe", "Jo Doe")),
    ],
)
def test_authors_are_names_and_never_mail_addresses(
    site: Site, author: str, names: tuple[str, ...]
) -> None:
    item = f"<item><link>/a</link>{author}</item>"
    assert hints(site, rss(item)).authors == names


@pytest.mark.parametrize(
    ("title", "headline"),
    [
        ("R&amp;D budget", "R&D budget"),
        ("R&D budget", "R&D budget"),
        ("Navy&amp;#8217;s plan", "Navy’s plan"),
        ("<![CDATA[Navy&#8217;s plan]]>", "Navy’s plan"),
        ("Navy&nbsp;&ndash;&nbsp;plan", "Navy – plan"),
        ("It&#146;s on", "It’s on"),
        ("&lt;b&gt;Plan&lt;/b&gt; out", "Plan out"),
        ("Range &lt; 500 km", "Range < 500 km"),
        ("Pl\x0ban\x01", "Plan"),
        ("", None),
    ],
)
def test_a_headline_is_plain_text_however_it_was_escaped(
    site: Site, title: str, headline: str | None
) -> None:
    assert (
        hints(site, rss(f"<item><title>{title}</title><link>/a</link></item>")).headline == headline
    )


def test_the_whole_article_in_the_description_is_no_description(site: Site) -> None:
    item = f"<item><link>/a</link><description>{'word ' * 900}</description></item>"
    assert hints(site, rss(item)).description is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-7"])
def test_a_feed_is_read_in_the_encoding_that_it_declares(site: Site, encoding: str) -> None:
    text = rss("<item><title>Φρεγάτα</title><link>/a</link></item>")
    body = text.replace('encoding="UTF-8"', f'encoding="{encoding.removesuffix("-sig")}"')
    assert hints(site, body.encode(encoding)).headline == "Φρεγάτα"


def test_utf8_is_recognised_where_the_declaration_lies(site: Site) -> None:
    text = rss("<item><title>Φρεγάτα</title><link>/a</link></item>")
    lying = text.replace("UTF-8", "windows-1253").encode()
    assert hints(site, lying, **{"content-type": "text/html; charset=ascii"}).headline == "Φρεγάτα"


def test_one_stray_byte_does_not_spoil_a_feed(site: Site) -> None:
    body = rss("<item><title>Φρεγάτα – Navy@s</title><link>/a</link></item>").encode()
    assert hints(site, body.replace(b"@", b"\x92")).headline == "Φρεγάτα – Navy’s"


def test_warnings_that_a_server_prints_before_the_feed_do_no_harm(site: Site) -> None:
    body = "\n\n<br />\n<b>Notice</b>: undefined index in theme.php\n" + rss(WORDPRESS_ITEM)
    assert len(read(site, body).links) == 1


def test_a_feed_cut_in_the_middle_gives_its_whole_items_and_a_warning(site: Site) -> None:
    whole = rss(
        WORDPRESS_ITEM, "<item><link>https://gazette.example/2025/second-story</link></item>"
    )
    found = read(site, whole[: whole.index("second-st") + 5])
    assert [link.url for link in found.links] == [
        "https://gazette.example/naval/refit-begins/?utm_source=rss"
    ]
    assert found.warnings == ("cut in the middle: 1 whole entries could be read",)


def test_an_item_with_broken_markup_does_not_swallow_its_neighbours(site: Site) -> None:
    broken = "<item><title>One <b>two</title><link>/broken</link></p></item>"
    items = [f"<item><title>{n}</title><link>/{n}</link></item>" for n in "abc"]
    found = read(site, rss(items[0], broken, *items[1:]))
    assert {link.url.rpartition("/")[2] for link in found.links} >= {"a", "b", "c"}


def test_prefixes_that_were_never_declared_are_still_understood(site: Site) -> None:
    body = (
        "<rss><channel><item><link>/a</link><dc:creator>Ann Roe</dc:creator></item></channel></rss>"
    )
    assert hints(site, body).authors == ("Ann Roe",)


def test_a_bomb_of_entities_stays_small(site: Site) -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    body = (
        f'<!DOCTYPE rss [<!ENTITY e0 "boom">{entities}<!ENTITY f SYSTEM "file:///etc/hostname">]>'
    )
    item = "<item><title>A &e11; &f;</title><link>/a</link></item>"
    headline = hints(site, body + rss(item).partition("?>")[2]).headline
    assert headline == "A &e11; &f;"


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("<!DOCTYPE html><html><body>Not found</body></html>", "is an HTML page, not a feed"),
        ('{"error": "gone"}', "is JSON, not a feed"),
        ("", "is empty"),
        ("  \n", "is empty"),
        ("hello", "is not a feed: no known root element"),
        ("<svg/>", "is not a feed: no known root element"),
    ],
)
def test_what_is_no_feed_is_named_for_what_it_is(site: Site, body: str, what: str) -> None:
    with pytest.raises(DiscoveryError) as raised:
        read(site, body)
    assert (raised.value.message, raised.value.where) == (what, URL)
    assert raised.value.remedy


def test_an_empty_feed_is_a_feed(site: Site) -> None:
    assert read(site, rss()) == Discovered()


def test_a_wordpress_feed_leads_a_backfill_to_its_next_page(site: Site) -> None:
    body = rss(WORDPRESS_ITEM, channel="<generator>https://wordpress.org/?v=6.7</generator>")
    assert read(site, body).next_pages == ("https://gazette.example/feed/?paged=2",)
    second = discover(Kind.FEED, body.encode(), URL + "?paged=2", site=site)
    assert second.next_pages == ("https://gazette.example/feed/?paged=3",)


def test_a_next_page_on_a_foreign_host_is_not_followed(site: Site) -> None:
    body = rss(WORDPRESS_ITEM, channel='<atom:link rel="next" href="https://other.example/feed"/>')
    assert read(site, body).next_pages == ()
