"""A file system that keeps what was fsynced and may lose the rest, played from a trace.

A file keeps the content of its last fsync; a folder keeps the names of its last fsync. What a power
cut leaves of the others is anybody's guess: here, either nothing of what was not synced, or every
name with the content that was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.strace import Call

Names = Literal["those synced", "all"]


@dataclass(eq=False, slots=True)
class _File:
    content: bytearray = field(default_factory=bytearray)
    synced: bytes | None = None

    @property
    def is_safe(self) -> bool:
        return self.synced == self.content


@dataclass(eq=False, slots=True)
class _Link:
    target: str


@dataclass(eq=False, slots=True)
class _Folder:
    names: dict[str, _Node] = field(default_factory=dict)
    synced: dict[str, _Node] = field(default_factory=dict)


_Node = _File | _Link | _Folder


class ForgetfulDisk:
    """The files below `root`, of which everything that is there now is safe."""

    def __init__(self, root: Path):
        self._root = root
        self._top = _read(root)
        self._positions: dict[str, int] = {}

    def play(self, call: Call) -> bool:
        """Do what the call did; tell whether it was about a file below the root."""
        play = getattr(self, f"_{call.name}", None)
        if play is None:
            paths = [one for one in call.arguments if isinstance(one, Path)]
            assert not any(self._is_mine(one) for one in paths), f"{call.name} is not understood"
            return False
        return bool(play(call))

    def unsafe(self, path: str) -> set[str]:
        """Return what below `path` a power cut could take now, by path from the root."""
        node = self._find(self._root / path)
        return set(_unsafe(node, path)) if node is not None else set()

    def has(self, path: str) -> bool:
        """Tell whether there is something at `path`, by its path from the root."""
        return self._find(self._root / path) is not None

    def write_out(self, folder: Path, *, names: Names) -> None:
        """Make `folder` what a power cut now could leave."""
        _write(self._top, folder, names=names)

    # What the calls do

    def _openat(self, call: Call) -> bool:
        at, name, *rest = call.arguments
        return self._opened(call, _joined(at, name), " ".join(map(str, rest)))

    def _opened(self, call: Call, path: Path, flags: str) -> bool:
        if not self._is_mine(path):
            return False
        node = self._find(path)
        if node is None and "O_CREAT" in flags:
            node = _File()
            self._folder_of(path).names[path.name] = node
        if isinstance(node, _File):
            if "O_TRUNC" in flags:
                node.content.clear()
            # Descriptors' numbers come again, also in other processes: of files below the root,
            # the last one opened under a number is the one that is written to.
            self._positions[str(call.result)] = len(node.content) if "O_APPEND" in flags else 0
        return "O_CREAT" in flags

    def _write(self, call: Call) -> bool:
        file = self._file(call)
        if file is None:
            return False
        data = call.arguments[1]
        assert isinstance(data, bytes)
        at = self._positions.get(call.descriptor, 0)
        _put(file, data[: call.result], at)
        self._positions[call.descriptor] = at + call.result
        return True

    def _pwrite64(self, call: Call) -> bool:
        file = self._file(call)
        if file is None:
            return False
        data, at = call.arguments[1], call.arguments[3]
        assert isinstance(data, bytes)
        _put(file, data[: call.result], int(str(at)))
        return True

    def _lseek(self, call: Call) -> bool:
        if self._file(call) is not None:
            self._positions[call.descriptor] = call.result
        return False

    def _ftruncate(self, call: Call) -> bool:
        file = self._file(call)
        if file is None:
            return False
        size = int(str(call.arguments[1]))
        del file.content[size:]
        file.content.extend(bytes(size - len(file.content)))
        return True

    def _fsync(self, call: Call) -> bool:
        path = call.arguments[0]
        assert isinstance(path, Path)
        node = self._find(path) if self._is_mine(path) else None
        if isinstance(node, _File):
            node.synced = bytes(node.content)
        elif isinstance(node, _Folder):
            node.synced = dict(node.names)
        return node is not None

    _fdatasync = _fsync

    def _mkdir(self, call: Call) -> bool:
        return self._made(Path(_text(call.arguments[0])), _Folder())

    def _symlink(self, call: Call) -> bool:
        target, path = map(_text, call.arguments[:2])
        return self._made(self._root / path, _Link(target))

    def _made(self, path: Path, node: _Node) -> bool:
        path = self._root / path
        if not self._is_mine(path):
            return False
        self._folder_of(path).names[path.name] = node
        return True

    def _rename(self, call: Call) -> bool:
        return self._renamed(*(self._root / _text(one) for one in call.arguments[:2]))

    def _renameat(self, call: Call) -> bool:
        a, b, c, d = call.arguments[:4]
        return self._renamed(_joined(a, b), _joined(c, d))

    _renameat2 = _renameat

    def _renamed(self, source: Path, target: Path) -> bool:
        if not self._is_mine(target):
            return False
        node = self._folder_of(source).names.pop(source.name)
        self._folder_of(target).names[target.name] = node
        return True

    def _link(self, call: Call) -> bool:
        return self._linked(*(self._root / _text(one) for one in call.arguments[:2]))

    def _linkat(self, call: Call) -> bool:
        a, b, c, d = call.arguments[:4]
        return self._linked(_joined(a, b), _joined(c, d))

    def _linked(self, source: Path, target: Path) -> bool:
        if not self._is_mine(target):
            return False
        node = self._find(source)
        assert node is not None
        self._folder_of(target).names[target.name] = node
        return True

    def _unlink(self, call: Call) -> bool:
        return self._removed(self._root / _text(call.arguments[0]))

    _rmdir = _unlink

    def _unlinkat(self, call: Call) -> bool:
        return self._removed(_joined(*call.arguments[:2]))

    def _removed(self, path: Path) -> bool:
        return self._is_mine(path) and self._folder_of(path).names.pop(path.name, None) is not None

    # Where things are

    def _is_mine(self, path: Path) -> bool:
        return path.is_relative_to(self._root)

    def _file(self, call: Call) -> _File | None:
        path = call.arguments[0]
        if not isinstance(path, Path) or not self._is_mine(path):
            return None
        node = self._find(path)
        return node if isinstance(node, _File) else None

    def _find(self, path: Path) -> _Node | None:
        node: _Node | None = self._top
        for name in path.relative_to(self._root).parts:
            if isinstance(node, _Link):
                node = self._top.names["lake"]
                assert isinstance(node, _Folder)
            node = node.names.get(name) if isinstance(node, _Folder) else None
        return node

    def _folder_of(self, path: Path) -> _Folder:
        node = self._find(path.parent)
        assert isinstance(node, _Folder), path
        return node


def _text(said: object) -> str:
    assert isinstance(said, bytes)
    return said.decode()


def _joined(at: object, name: object) -> Path:
    assert isinstance(at, Path)
    return at / _text(name)


def _put(file: _File, data: bytes, at: int) -> None:
    file.content.extend(bytes(max(0, at - len(file.content))))
    file.content[at : at + len(data)] = data


def _read(folder: Path) -> _Folder:
    names: dict[str, _Node] = {}
    for path in folder.iterdir():
        if path.is_symlink():
            names[path.name] = _Link(str(path.readlink()))
        elif path.is_dir():
            names[path.name] = _read(path)
        else:
            data = path.read_bytes()
            names[path.name] = _File(bytearray(data), data)
    return _Folder(names, dict(names))


def _unsafe(node: _Node, path: str) -> Iterator[str]:
    if isinstance(node, _File) and not node.is_safe:
        yield path
    if isinstance(node, _Folder):
        for name in node.names.keys() | node.synced.keys():
            if node.names.get(name) is not node.synced.get(name):
                yield f"{path}/{name}"
        for name, one in node.names.items():
            yield from _unsafe(one, f"{path}/{name}")


def _write(node: _Node, path: Path, *, names: Names) -> None:
    if isinstance(node, _Folder):
        path.mkdir(exist_ok=True)
        for name, one in (node.names if names == "all" else node.synced).items():
            _write(one, path / name, names=names)
    elif isinstance(node, _Link):
        path.symlink_to(node.target)
    else:
        path.write_bytes(node.synced or b"")
