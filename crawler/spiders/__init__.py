"""The one Scrapy spider."""
