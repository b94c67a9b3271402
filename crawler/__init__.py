"""Sitrep's application: sites, discovery, fetching, extraction and commands."""

__version__ = "0.1.0"
