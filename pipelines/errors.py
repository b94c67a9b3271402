"""Every error that Sitrep raises for its users.

    SitrepError                 exit 1: something failed
    ├── UsageError              exit 2: the command was wrong
    │   ├── SettingsError       a setting that is unknown or impossible
    │   └── SiteError           a site file, or a site's name
    ├── FetchError              a page that could not be fetched
    ├── DiscoveryError          a feed, sitemap or listing that is not one
    ├── ArchiveError            a WARC file or record
    ├── ExtractionError         a page that the extractor could not read
    ├── LakeError               the lake: not there, not writable, of another schema
    │   ├── ReplacedError       an object that another was put in place of while it was read
    │   └── UnreachedError      a store that gave no answer, or not a whole one
    ├── StateError              the state database
    └── QueryError              SQL that DuckDB refuses

Each carries what a person needs: the message, `where` (file, key or URL) and `remedy`.
"""

from __future__ import annotations


class SitrepError(Exception):
    """The root of the tree. `str(error)` is one line: where, what, remedy."""

    exit_status = 1

    def __init__(self, message: str, *, where: str | None = None, remedy: str | None = None):
        super().__init__(message)
        self.message = message
        self.where = where
        self.remedy = remedy

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross from worker processes; Exception's own pickling forgets keyword arguments.
        return _rebuild, (type(self), self.message, self.where, self.remedy)

    def __str__(self) -> str:
        line = f"{self.where}: {self.message}" if self.where else self.message
        return f"{line}; {self.remedy}" if self.remedy else line


def _rebuild(
    kind: type[SitrepError], message: str, where: str | None, remedy: str | None
) -> SitrepError:
    return kind(message, where=where, remedy=remedy)


class UsageError(SitrepError):
    exit_status = 2


class SettingsError(UsageError):
    pass


class SiteError(UsageError):
    pass


class FetchError(SitrepError):
    pass


class DiscoveryError(SitrepError):
    pass


class ArchiveError(SitrepError):
    pass


class ExtractionError(SitrepError):
    pass


class LakeError(SitrepError):
    pass


class ReplacedError(LakeError):
    pass


class UnreachedError(LakeError):
    pass


class StateError(SitrepError):
    pass


class QueryError(SitrepError):
    pass
