"""The verbs, a file each. `crawler.cli` puts them together."""
