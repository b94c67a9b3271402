"""What a program asked of the file system, call by call, as strace saw it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.services import is_missing

# Those that change files, folders, or what the disk has of them.
CALLS = (
    "openat,open,creat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,rename,"
    "renameat,renameat2,link,linkat,unlink,unlinkat,rmdir,mkdir,mkdirat,symlink,symlinkat,fsync,"
    "fdatasync,sync_file_range,sendfile,copy_file_range,lseek"
)
_WHOLE = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+)")
_UNFINISHED = " <unfinished ...>"
_RESUMED = re.compile(r"^(\d+) +<\.\.\. \w+ resumed>")
_TOKEN = re.compile(
    r'"(?P<text>(?:\\x[0-9a-f]{2})*)"'
    r"|(?P<fd>-?\d+|AT_FDCWD)<(?P<path>[^>]*)>"
    r"|(?P<word>[\w|]+)"
)


@dataclass(frozen=True, slots=True)
class Call:
    """One call that came through. A descriptor among the arguments is told by its path."""

    name: str
    arguments: tuple[bytes | Path | str, ...]
    result: int
    # The number of the descriptor that is the first argument, if it is one.
    descriptor: str = ""


def require() -> str:
    found = shutil.which("strace")
    return found or is_missing("strace")


def traced(
    command: Sequence[str], *, folder: Path, env: Mapping[str, str], log: Path
) -> list[Call]:
    """Run a command to its good end and return what it asked of the file system, in order."""
    options = ["-f", "--seccomp-bpf", "-y", "-xx", "-s", "100000000", "-e", "signal=none"]
    subprocess.run(
        [require(), *options, "-e", f"trace={CALLS}", "-o", str(log), *command],
        cwd=folder,
        env=dict(env),
        check=True,
        capture_output=True,
        timeout=300,
    )
    return list(_calls(log))


def _calls(log: Path) -> Iterator[Call]:
    begun: dict[str, str] = {}
    with log.open(encoding="latin-1") as lines:
        for line in lines:
            text, pid = line.rstrip("\n"), line.partition(" ")[0]
            if text.endswith(_UNFINISHED):
                begun[pid] = text.removesuffix(_UNFINISHED)
                continue
            if resumed := _RESUMED.match(text):
                text = begun.pop(pid) + text[resumed.end() :]
            if (found := _WHOLE.match(text)) and int(found[3]) >= 0:
                yield _call(found[1], found[2], int(found[3]))


def _call(name: str, text: str, result: int) -> Call:
    arguments: list[bytes | Path | str] = []
    descriptor = ""
    for token in _TOKEN.finditer(text):
        if token["text"] is not None:
            arguments.append(bytes.fromhex(token["text"].replace("\\x", "")))
        elif token["fd"] is not None:
            descriptor = descriptor or token["fd"]
            arguments.append(Path(_plain(token["path"])))
        else:
            arguments.append(token["word"])
    return Call(name, tuple(arguments), result, descriptor)


def _plain(text: str) -> str:
    data = re.sub(r"\\x([0-9a-f]{2})", lambda m: chr(int(m[1], 16)), text)
    return data.encode("latin-1").decode("utf-8", "replace")
