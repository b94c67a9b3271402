"""What one writes without Sitrep: a Scrapy spider, trafilatura inline, one Parquet file.

python benchmarks/plain_spider.py FILE.parquet CONCURRENCY SITE-FILE…
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import trafilatura
from scrapy.crawler import AsyncCrawlerProcess
from scrapy.http import Response
from scrapy.spiders import SitemapSpider


class PlainSpider(SitemapSpider):
    name = "plain"

    def parse(self, response: Response) -> Iterator[dict[str, Any]]:
        found: Any = trafilatura.bare_extraction(
            response.body, url=response.url, with_metadata=True
        )
        if found is not None:
            yield {
                "url": response.url,
                "title": found.title,
                "author": found.author,
                "date": found.date,
                "text": found.text,
                "fetched_at": datetime.now(UTC),
            }


class ParquetPipeline:
    def open_spider(self) -> None:
        self.items: list[dict[str, Any]] = []

    def process_item(self, item: dict[str, Any]) -> dict[str, Any]:
        self.items.append(item)
        return item

    def close_spider(self) -> None:
        pq.write_table(pa.Table.from_pylist(self.items), sys.argv[1], compression="zstd")


def main(concurrency: int, sites: list[dict[str, Any]]) -> None:
    process = AsyncCrawlerProcess(
        {
            "ROBOTSTXT_OBEY": True,
            "DOWNLOAD_DELAY": 0,
            "CONCURRENT_REQUESTS": concurrency,
            # All sites are on one address of this machine.
            "CONCURRENT_REQUESTS_PER_DOMAIN": concurrency,
            "TELNETCONSOLE_ENABLED": False,
            "COOKIES_ENABLED": False,
            "LOG_LEVEL": "WARNING",
            "ITEM_PIPELINES": {ParquetPipeline: 300},
        }
    )
    process.crawl(
        PlainSpider,
        sitemap_urls=[url for site in sites for url in site["sitemaps"]],
        sitemap_rules=[(site["article_url"], "parse") for site in sites],
    )
    process.start()


if __name__ == "__main__":
    main(int(sys.argv[2]), [tomllib.loads(Path(file).read_text()) for file in sys.argv[3:]])
