"""Scrapy's settings: its defaults are made for scraping in a hurry, ours for being a good guest.

`scrapy.cfg` names this module. What a run adds (who crawls, the sites' delays) is in
`crawler.jobs`.
"""

from __future__ import annotations

from typing import Any

from scrapy.settings import default_settings

from crawler import __version__

BOT_NAME = "sitrep"
SPIDER_MODULES = ["crawler.spiders"]
NEWSPIDER_MODULE = "crawler.spiders"
USER_AGENT = f"sitrep/{__version__} (news archive)"

TWISTED_REACTOR = "twisted.internet.asyncioreactor.AsyncioSelectorReactor"
TWISTED_DNS_RESOLVER = "crawler.network.GuardedResolver"
ALLOW_PRIVATE_NETWORKS = False

# Our own robots middleware obeys RFC 9309, which Scrapy's does not where robots.txt fails.
ROBOTSTXT_OBEY = True
DOWNLOAD_VERIFY_CERTIFICATES = True
DOWNLOAD_MAXSIZE = 32 << 20
DOWNLOAD_WARNSIZE = 0
DOWNLOAD_TIMEOUT = 30
DOWNLOAD_DELAY = 2
DOWNLOAD_DELAY_JITTER = 0
DOWNLOAD_FAIL_ON_DATALOSS = True
CONCURRENT_REQUESTS = 32
CONCURRENT_REQUESTS_PER_DOMAIN = 1
RETRY_TIMES = 2
# The report names each page that failed; a line in the log too says it twice.
RETRY_GIVE_UP_LOG_LEVEL = "DEBUG"
REDIRECT_MAX_TIMES = 10
# Left out, and not disabled: Scrapy imports what is disabled too, and these bring aiohttp and more.
EXTENSIONS_BASE = {
    name: order
    for name, order in default_settings.EXTENSIONS_BASE.items()
    if name.rpartition(".")[2] not in {"RemoteControl", "TelnetConsole"}
}
DOWNLOADER_MIDDLEWARES_BASE = {
    name: order
    for name, order in default_settings.DOWNLOADER_MIDDLEWARES_BASE.items()
    if name.rpartition(".")[2] != "CookiesMiddleware"
}
METAREFRESH_ENABLED = False
REFERER_ENABLED = False
# A proxy would hide which address is dialled, and so what the guard is there to see.
HTTPPROXY_ENABLED = False
HTTPERROR_ALLOW_ALL = True
# The archive keeps the bytes as they came and decodes them itself.
COMPRESSION_ENABLED = False
DEFAULT_REQUEST_HEADERS = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Encoding": "gzip, deflate",
}
DOWNLOAD_HANDLERS: dict[str, Any] = {"file": None, "data": None, "ftp": None, "s3": None}
DOWNLOADER_MIDDLEWARES: dict[str, int | None] = {
    "crawler.middlewares.bounds.BoundsMiddleware": 50,
    "crawler.middlewares.rests.RestsMiddleware": 60,
    "scrapy.downloadermiddlewares.offsite.OffsiteMiddleware": None,
    "scrapy.downloadermiddlewares.robotstxt.RobotsTxtMiddleware": None,
    "crawler.middlewares.robots.RobotsMiddleware": 100,
    "crawler.middlewares.validators.ValidatorsMiddleware": 520,
    # Above the retries (550), so that it sees each answer before it is asked for again.
    "crawler.middlewares.pacing.PacingMiddleware": 560,
    "crawler.middlewares.archive.ArchiveMiddleware": 610,
}
# What the worker processes have not yet taken up waits here, and holds the downloads back.
SCRAPER_SLOT_MAX_ACTIVE_SIZE = 8 << 20
STATS_DUMP = False
LOG_ENABLED = False
LOG_INSTALL_ROOT_HANDLER = False
MEMUSAGE_ENABLED = False
LOGSTATS_INTERVAL = 0
