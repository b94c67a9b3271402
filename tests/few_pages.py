"""`sitrep`, which follows six pages where it would a thousand: `python -m tests.few_pages crawl …`.

A thousand are a minute of requests.
"""

from __future__ import annotations

import sys

from crawler import cli, trails
from crawler.spiders import news

if __name__ == "__main__":
    trails.MOST_PAGES = news.MOST_PAGES = 6
    sys.exit(cli.main())
