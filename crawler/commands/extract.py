"""`sitrep extract`: the article as it would be, nothing stored."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import click

from crawler import jobs
from crawler.commands.common import Context, verb
from crawler.console import Out
from crawler.extraction import extract as read_article
from crawler.learning import furniture_at
from crawler.site import Site
from pipelines.errors import FetchError, UsageError
from pipelines.model import Article
from pipelines.urls import host_of

_CANONICAL = re.compile(
    rb"""<(?:link[^>]+rel=["']?canonical|meta[^>]+og:url)[^>]+(?:href|content)=["']([^"']+)""",
    re.IGNORECASE,
)


@click.command()
@click.argument("source", metavar="URL-or-FILE")
@click.option("--url", metavar="URL", help="The address of a FILE, where the page does not say it.")
@verb
def extract(context: Context, *, source: str, url: str | None) -> int:
    """Show the article that a page gives; store nothing.

    The page is an address, fetched now, or a saved file. Exit status 1 when it would be
    refused.
    """
    article = (
        _fetched(context, source)
        if re.match("https?://", source)
        else _from_file(context, Path(source), url)
    )
    context.out.result(asdict(article))
    show_article(context.out, article)
    return int(article.refusal is not None)


def _from_file(context: Context, file: Path, url: str | None) -> Article:
    try:
        html = file.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot be read ({error.strerror})",
            where=str(file),
            remedy="name a saved page, or an address that begins with http:// or https://",
        ) from error
    address = url or _own_address(html) or "https://unknown.invalid/"
    site = context.register.owner(address)
    known = furniture_at(context.settings.lake).get(site.name) if site else None
    now = datetime.now(UTC)
    return read_article(html, address, site=site, fetched_at=now, furniture=known)


def _own_address(html: bytes) -> str | None:
    found = _CANONICAL.search(html)
    return found[1].decode("utf-8", "replace") if found else None


def _fetched(context: Context, url: str) -> Article:
    try:
        host_of(url)
        owner = context.register.owner(url)
        site = owner or _nobody(url)
    except ValueError as error:
        raise UsageError("is not the address of a page", where=url) from error
    unclaimed = () if owner else (site.name,)
    done = jobs.read(context.settings, [(site, url)], unclaimed=unclaimed)
    if url in done.articles:
        return done.articles[url]
    outcome = done.outcomes.get(url)
    said = outcome if isinstance(outcome, str) else outcome.error if outcome else None
    raise FetchError(said or "was not fetched", where=url)


def _nobody(url: str) -> Site:
    """Return a site that claims one address, so that it is asked for as politely as any other."""
    parts = urlsplit(url)
    home = f"{parts.scheme}://{parts.netloc}/"
    return Site(name="unclaimed", publisher=parts.netloc, home=home, time_zone="UTC")


def show_article(out: Out, article: Article) -> None:
    """Show an article to people: its fields, its text, and what was removed from it."""
    if article.refusal is not None:
        out.say(f"refused: {article.refusal}", style="red")
    out.say(article.headline or "(no headline)", style="bold")
    for name in ("description", "authors", "byline", "date_published", "date_published_source",
                 "date_published_raw", "time_zone_assumed", "in_language", "word_count",
                 "extractor"):  # fmt: skip
        value = getattr(article, name)
        if value:
            out.say(f"{name:<22} {', '.join(value) if isinstance(value, tuple) else value}")
    out.say()
    out.say(article.article_body)
    if article.removed_blocks:
        out.say()
    for block in article.removed_blocks:
        text = " ".join(block.text.split())
        out.say(f"removed by {block.rule} at {block.selector}: {text[:90]}", style="yellow")
