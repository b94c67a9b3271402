"""The register of sites: the bundled files, and the user's own beside or over them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from crawler.site import Site, read_site
from pipelines.errors import SiteError

BUNDLED = Path(__file__).parent / "sites"


class Register:
    """Site files by name. Nothing is read until it is asked for, so one bad file stops one site."""

    def __init__(self, further: Path | None = None):
        if further is not None and not further.is_dir():
            raise SiteError(
                "no such folder of site files",
                where=str(further),
                remedy="make it, or unset SITREP_SITES",
            )
        folders = [BUNDLED, *([further] if further else [])]
        self._found: dict[str, Site | None] = {}
        self.files = {
            file.stem: file for folder in folders for file in sorted(folder.glob("*.toml"))
        }

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self.files))

    def site(self, name: str) -> Site:
        """Return one site. Raises SiteError when no file has that name or the file is wrong."""
        if name not in self.files:
            near = difflib.get_close_matches(name, self.files, n=1)
            hint = f"did you mean '{near[0]}'?" if near else "see `sitrep sites list`"
            raise SiteError(f"no site is called '{name}'", remedy=hint)
        return read_site(self.files[name])

    def find(self, name: str) -> Site | None:
        """Return one site, read once; None where no file has that name or it is wrong."""
        if name not in self._found:
            try:
                self._found[name] = self.site(name)
            except SiteError:
                self._found[name] = None
        return self._found[name]

    def sites(self, names: Iterable[str]) -> list[Site]:
        """Return the sites of these names, each once. Raises SiteError as `site` does."""
        return [self.site(name) for name in dict.fromkeys(names)]

    def all(self) -> tuple[list[Site], dict[str, SiteError]]:
        """Return every site that can be read, and by name the error of each that cannot."""
        sites, wrong = [], {}
        for name in self.names:
            try:
                sites.append(self.site(name))
            except SiteError as error:
                wrong[name] = error
        return sites, wrong

    def owner(self, url: str) -> Site | None:
        """Return the site whose host `url` lies on, the user's own before the bundled."""
        own_first = sorted(self.files, key=lambda name: self.files[name].parent == BUNDLED)
        for name in own_first:
            try:
                site = self.site(name)
            except SiteError:
                continue  # a wrong file is told when that site is named, not at every URL
            if site.owns(url):
                return site
        return None
