"""Where the lake's files lie. Paths are relative to the lake, with forward slashes.

Either a folder of this machine or, in `pipelines.s3`, an object store. Addresses are what delta-rs
and DuckDB know the same files by.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

import duckdb

from pipelines.errors import LakeError

# delta-rs 1.6 loses its way in a folder with one of the first ones in its name, and DuckDB takes
# the last two for wild cards (each tried).
REFUSED = frozenset("[]\\^|%*?")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInfo:
    """`modified`: seconds since 1970; an object store has whole ones."""

    path: str
    size_bytes: int
    modified: float


class Storage(Protocol):
    """The few things that the lake and the archive ask of the place where they lie."""

    @property
    def url(self) -> str: ...

    def table_url(self, path: str) -> str:
        """Return the address by which delta-rs knows the table at `path`."""
        ...

    def refused(self, error: Exception, where: str) -> LakeError | None:
        """Return what an error of delta-rs or DuckDB says of the storage, if it does."""
        ...

    def table_options(self) -> dict[str, str] | None:
        """Return what delta-rs needs besides the address: credentials good for some minutes."""
        ...

    def attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Have `connection` read the addresses of this storage."""
        ...

    def address(self, path: str) -> str:
        """Return the address of a file, for DuckDB."""
        ...

    def path_of(self, address: str) -> str:
        """Return the path of a file whose address delta-rs or DuckDB gave."""
        ...

    def exists(self, path: str) -> bool:
        """Tell whether there is a file."""
        ...

    def list(self, prefix: str = "") -> Iterator[str]:
        """Yield the path of every file under the folder `prefix`, in order; none without it."""
        ...

    def infos(self, prefix: str = "") -> Iterator[FileInfo]:
        """Yield what `list` does, with size and time."""
        ...

    def info(self, path: str) -> FileInfo:
        """Return size and time of a file. Raises FileNotFoundError."""
        ...

    def open(self, path: str, *, offset: int = 0) -> BinaryIO:
        """Open for reading, at `offset`. Raises FileNotFoundError."""
        ...

    def read(self, path: str) -> bytes: ...

    def replace(self, path: str, data: bytes) -> None:
        """Put `data` there as a whole: a reader sees what was there before, or all of it."""
        ...

    def create(self, path: str, data: bytes) -> bool:
        """Put `data` where there is no file yet; return whether that was so."""
        ...

    def take(self, source: Path, path: str) -> None:
        """Move a local file into place; when this returns it outlasts a power cut."""
        ...

    def make_folder(self, path: str) -> None:
        """Have a folder there that outlasts a power cut; an object store has none."""
        ...

    def settle(self, paths: Iterable[str]) -> None:
        """Have files that another program wrote here outlast a power cut."""
        ...

    def delete(self, path: str) -> None:
        """Remove a file; nothing where there is none."""
        ...


class LocalStorage:
    """A folder of this machine, `folder`. Everything written is fsynced, its folder too."""

    def __init__(self, folder: Path):
        self._folder = folder.absolute()

    @property
    def url(self) -> str:
        return str(self._folder)

    @property
    def folder(self) -> Path:
        return self._folder

    def table_url(self, path: str) -> str:
        return str(self._at(path))

    def refused(self, error: Exception, where: str) -> LakeError | None:
        """None: what a disk refuses is known by its user."""

    def table_options(self) -> dict[str, str] | None:
        return None

    def attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Nothing to do: DuckDB reads folders."""

    def address(self, path: str) -> str:
        return str(self._at(path))

    def path_of(self, address: str) -> str:
        # delta-rs gives URLs, quoted, or, without their scheme, half so.
        path = Path(unquote(address.removeprefix("file://")))
        return path.relative_to(self._folder).as_posix()

    def exists(self, path: str) -> bool:
        return self._at(path).exists()

    def list(self, prefix: str = "") -> Iterator[str]:
        return map(self._path, self._files(prefix))

    def infos(self, prefix: str = "") -> Iterator[FileInfo]:
        for file in self._files(prefix):
            with suppress(FileNotFoundError):  # gone since it was listed
                yield self.info(self._path(file))

    def info(self, path: str) -> FileInfo:
        found = self._at(path).stat()
        return FileInfo(path=path, size_bytes=found.st_size, modified=found.st_mtime)

    def open(self, path: str, *, offset: int = 0) -> BinaryIO:
        file = self._at(path).open("rb")
        file.seek(offset)
        return file

    def read(self, path: str) -> bytes:
        return self._at(path).read_bytes()

    def replace(self, path: str, data: bytes) -> None:
        target = self._at(path)
        with _on_its_way(target, data) as temporary:
            temporary.replace(target)
            fsync(target.parent)

    def create(self, path: str, data: bytes) -> bool:
        target = self._at(path)
        with _on_its_way(target, data) as temporary:
            try:
                target.hardlink_to(temporary)
            except FileExistsError:
                return False
            except OSError:
                # A file system without hard links: two at once are not told apart.
                if target.exists():
                    return False
                temporary.replace(target)
            fsync(target.parent)
        return True

    def take(self, source: Path, path: str) -> None:
        target = self._at(path)
        make_folder(target.parent)
        fsync(source)
        if source.stat().st_dev == target.parent.stat().st_dev:
            source.replace(target)
            fsync(target.parent)
        else:
            _copy_whole(source, target)
            # The copy is known to the disk before the original is gone.
            fsync(target.parent)
            source.unlink()
        fsync(source.parent)

    def make_folder(self, path: str) -> None:
        make_folder(self._at(path))

    def settle(self, paths: Iterable[str]) -> None:
        """Fsync files, the folders they lie in, and those above, up to the lake's."""
        files = [self._at(path) for path in paths]
        for file in files:
            fsync(file)
        above = {folder for file in files for folder in file.parents}
        inside = [one for one in above if one.is_relative_to(self._folder)]
        for folder in sorted(inside, key=lambda one: -len(one.parts)):
            fsync(folder)

    def delete(self, path: str) -> None:
        self._at(path).unlink(missing_ok=True)

    def _files(self, prefix: str) -> Sequence[Path]:
        root = self._at(prefix)
        return sorted(one for one in root.rglob("*") if one.is_file())

    def _path(self, file: Path) -> str:
        return file.relative_to(self._folder).as_posix()

    def _at(self, path: str) -> Path:
        if Path(path).is_absolute() or ".." in Path(path).parts:
            raise LakeError("is not a path inside the lake", where=path)
        return self._folder / path


def open_storage(url: str) -> Storage:
    """Return the storage at `url`: a folder's path, a `file://` URL or `s3://bucket/prefix`."""
    scheme = urlsplit(url).scheme if "://" in url else ""
    if scheme == "file":
        return _local(Path(unquote(urlsplit(url).path)))
    if scheme == "s3":
        # Only who has a lake there waits for boto3 to be loaded.
        from pipelines.s3 import S3Storage

        return S3Storage(url)
    if scheme:
        raise LakeError(
            f"a lake cannot lie on {scheme}://",
            where=url,
            remedy="set SITREP_LAKE to a folder or s3://bucket/prefix",
        )
    return _local(Path(url).expanduser())


def _local(folder: Path) -> LocalStorage:
    refused = sorted(REFUSED.intersection(str(folder.absolute())))
    if refused:
        raise LakeError(
            f"the lake's path may not hold {' '.join(refused)}",
            where=str(folder),
            remedy="set SITREP_LAKE to a folder with another name",
        )
    return LocalStorage(folder)


def fsync(path: Path) -> None:
    """Have the disk hold what `path`, a file or a folder, holds."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make `folder` and those above it, each known to the disk in the one above it."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir()
    fsync(folder.parent)


@contextmanager
def _on_its_way(target: Path, data: bytes) -> Iterator[Path]:
    """Give a file with `data` beside `target`, on the disk; what is left of it goes."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        make_folder(target.parent)
        temporary.write_bytes(data)
        fsync(temporary)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _copy_whole(source: Path, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        shutil.copyfile(source, temporary)
        fsync(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
