"""Sitrep's library: the model, URLs, archive, revisions, duplicates, lake and state.

Runs without Scrapy and without `crawler`, which imports it and is never imported back.
"""
