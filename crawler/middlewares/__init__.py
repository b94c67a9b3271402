"""Scrapy downloader middlewares, one component a file."""
