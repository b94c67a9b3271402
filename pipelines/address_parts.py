"""An address taken apart as browsers read it, and written in one form: host, path, parameters."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote, urljoin

# Longer than any server accepts (common limits lie at 8 and 16 KiB).
MAX_URL_CHARS = 32_768

_C0_AND_SPACE = "".join(map(chr, range(0x21)))
_TAB_OR_NEWLINE = re.compile(r"[\t\r\n]")
_SCHEME = re.compile(r"(?i)(https?):[/\\]*")
_ANY_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_ABSOLUTE = re.compile(r"(?s)(https?)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?")
_AUTHORITY = re.compile(r"(?s)(?:.*@)?(\[[^\]]*\]|[^:\[\]]*)(?::(\d*))?")
# The URL standard's forbidden host code points, and what it leaves out of a host altogether.
_NOT_IN_HOSTS = re.compile(r"[\x00-\x20#/:<>?@\[\\\]^|%\x7f]")
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))
_OTHER_DOTS = dict.fromkeys(map(ord, "\u3002\uff0e\uff61"), ".")


class Query(NamedTuple):
    name: str
    value: str | None


@dataclass(frozen=True, slots=True)
class Parts:
    """An address taken apart: `path` has its escapes in order, `query` its parameters."""

    host: str
    path: str
    query: tuple[Query, ...]
    route: str = ""


def absolute(url: str, base: str | None) -> str:
    """Return `url` made absolute. Raises ValueError for what is no http(s) address then."""
    text = tidied(url)
    if base is not None and not _ANY_SCHEME.match(text):
        text = urljoin(tidied(base), _slashed(text))
    if not text.startswith(("http://", "https://")):
        raise ValueError(f"{_shown(url)} is not an absolute http(s) address")
    return text


def tidied(url: str) -> str:
    """Read an address as browsers do: `HTTPS:\\\\host` is `https://host`, newlines are nothing."""
    text = _TAB_OR_NEWLINE.sub("", url.strip(_C0_AND_SPACE))
    if len(text) > MAX_URL_CHARS:
        raise ValueError(f"{_shown(url)} is longer than {MAX_URL_CHARS} characters")
    match = _SCHEME.match(text)
    return f"{match[1].lower()}://{_slashed(text[match.end() :])}" if match else text


def _slashed(rest: str) -> str:
    head, mark, tail = _cut_at(rest, "?#")
    return head.replace("\\", "/") + mark + tail


def _cut_at(text: str, marks: str) -> tuple[str, str, str]:
    found = [at for at in map(text.find, marks) if at >= 0]
    at = min(found, default=len(text))
    return text[:at], text[at : at + 1], text[at + 1 :]


def _shown(url: str) -> str:
    return repr(url if len(url) <= 200 else url[:200] + "…")


def parts_of(address: str) -> Parts:
    """Take an absolute address apart. Raises ValueError for what is none of a host."""
    match = _ABSOLUTE.fullmatch(address)
    if match is None:
        raise ValueError(f"{_shown(address)} is not an absolute http(s) address")
    scheme, authority, path, query, fragment = match.groups()
    return Parts(
        host=_netloc(authority, scheme, address),
        path=_plain_path(path),
        query=_parameters(query or ""),
        route=_route(fragment or ""),
    )


def _netloc(authority: str, scheme: str, url: str) -> str:
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise ValueError(f"{_shown(url)} has no readable host and port")
    host = _ascii_host(match[1], url)
    port = int(match[2]) if match[2] and len(match[2]) < 9 else None
    if match[2] and (port is None or port > 65_535):
        raise ValueError(f"{_shown(url)} has a port that cannot be")
    # http:443 becomes https:443 once the scheme is folded, so 443 is a default for both.
    return host if port in {None, 443, 80 if scheme == "http" else 443} else f"{host}:{port}"


def _ascii_host(raw: str, url: str) -> str:
    if raw.startswith("["):
        return f"[{ipaddress.IPv6Address(raw[1:-1])}]"
    text = unquote(raw).translate(_OTHER_DOTS).translate(_INVISIBLE)
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())
    labels = text.rstrip(".").split(".")
    if not all(labels) or _NOT_IN_HOSTS.search(text):
        raise ValueError(f"{_shown(url)} has no host")
    return ".".join(map(_ascii_label, labels))


def _ascii_label(label: str) -> str:
    # Punycode by hand: Python's own codec knows IDNA 2003 alone, which makes one of ß and ss.
    if label.isascii():
        return label
    label.encode()  # a lone surrogate is no letter: UnicodeEncodeError, which is a ValueError
    return "xn--" + label.encode("punycode").decode("ascii")


# --- escapes, dots and slashes ----------------------------------------------------------------

_ESCAPE_OR_CHAR = re.compile(r"%[0-9A-Fa-f]{2}|.", re.DOTALL)
_UNRESERVED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")
# Encoders differ about these (rawurlencode escapes what encodeURI leaves), servers do not.
# A slash is not among them: `a%2Fb` is one segment.
_PLAIN_IN_PATH = _UNRESERVED | frozenset("!'()*,:@")
_PLAIN_IN_QUERY = _PLAIN_IN_PATH | frozenset("/?$;")
_ORDERLY = re.compile(r"[A-Za-z0-9\-._~/]*")


def _escaped(text: str, *, plain: frozenset[str], reserved: str) -> str:
    """Write each character in its one form: `plain` as it is, `reserved` as found, else escaped."""
    if _ORDERLY.fullmatch(text):
        return text
    return "".join(_one_form(token, plain, reserved) for token in _ESCAPE_OR_CHAR.findall(text))


def _one_form(token: str, plain: frozenset[str], reserved: str) -> str:
    if len(token) == 3:
        char = chr(int(token[1:], 16))
        return char if char in plain else token.upper()
    if token in plain or token in reserved:
        return token
    return "".join(f"%{byte:02X}" for byte in token.encode("utf-8", "surrogatepass"))


def _plain_path(path: str) -> str:
    text = _escaped(path, plain=_PLAIN_IN_PATH, reserved="/$&+;=")
    return "/" + "/".join(_segments(text)) + ("/" if text.endswith("/") else "")


def _segments(path: str) -> list[str]:
    """Return the segments of `path` without `.`, `..` and empty ones."""
    found: list[str] = []
    for segment in path.split("/")[1:] if path.startswith("/") else path.split("/"):
        if segment == "..":
            del found[-1:]
        elif segment != ".":
            found.append(segment)
    # Empty ones go last: in `a//../b` the dots take back the empty segment, not `a`.
    return [segment for segment in found if segment]


def _parameters(query: str) -> tuple[Query, ...]:
    found = (_parameter(piece) for piece in query.split("&"))
    return tuple(one for one in found if one.name or one.value)


def _parameter(piece: str) -> Query:
    name, mark, value = piece.partition("=")
    # `&amp;` is a separator that somebody escaped for HTML once too often.
    name = re.sub("^(?:amp;)+", "", _escaped_field(name))
    return Query(name, _escaped_field(value) if mark else None)


def _escaped_field(text: str) -> str:
    spaced = text.replace(" ", "+")
    return _escaped(spaced, plain=_PLAIN_IN_QUERY, reserved="+=").replace("%20", "+")


def _route(fragment: str) -> str:
    """Keep a fragment that is an address within the page: `#!/story/1`."""
    if not fragment.startswith("!"):
        return ""
    route = _escaped(fragment, plain=_PLAIN_IN_QUERY, reserved="+=&#")
    return route if route.strip("!/") else ""


def joined(parts: Parts) -> str:
    """Write an address in its one form."""
    query = "&".join(n if v is None else f"{n}={v}" for n, v in parts.query)
    return (
        f"https://{parts.host}{parts.path}"
        + (f"?{query}" if query else "")
        + (f"#{parts.route}" if parts.route else "")
    )
