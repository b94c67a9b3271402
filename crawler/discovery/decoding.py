"""From bytes to text, whatever headers and declarations claim."""

from __future__ import annotations

import codecs
import html
import re
import zlib
from collections.abc import Mapping
from html.entities import html5

from pipelines.errors import DiscoveryError

# The sitemap protocol's limit for one unpacked file.
MAX_UNPACKED_BYTES = 50 * 1024 * 1024
_GZIP_MAGIC = b"\x1f\x8b\x08"
_CHUNK_BYTES = 256 * 1024

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"<\x00", "utf-16-le"),
    (b"\x00<", "utf-16-be"),
)
_DECLARED = re.compile(
    rb"""<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]+)|<meta[^>]*?charset\s*=\s*["']?([\w.:-]+)""",
    re.IGNORECASE,
)
# Labels whose pages are in truth the larger encoding, as the Encoding standard has it.
_LARGER = {
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "iso8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
}
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_STRAY_BYTE = re.compile("[\udc80-\udcff]")
_REFERENCE = re.compile(
    r"<!\[CDATA\[.*?\]\]>|&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|(\w+));|&|<(?![!?])(?=[^<>]*(?:<|\Z))",
    re.DOTALL,
)
_XML_NAMES = frozenset({"amp", "lt", "gt", "quot", "apos"})


def unpacked(body: bytes, *, where: str) -> tuple[bytes, bool]:
    """Return `body` without the gzip around it, and whether the gzip was cut.

    Raises DiscoveryError when more comes out than MAX_UNPACKED_BYTES.
    """
    is_cut = False
    # A .xml.gz served with a Content-Encoding as well has been packed twice.
    for _ in range(2):
        if not body.startswith(_GZIP_MAGIC):
            break
        body, layer_is_cut = _gunzipped(body, where=where)
        is_cut = is_cut or layer_is_cut
    return body, is_cut


def _gunzipped(body: bytes, *, where: str) -> tuple[bytes, bool]:
    found = bytearray()
    rest = body
    while rest.startswith(_GZIP_MAGIC):
        member = zlib.decompressobj(wbits=31)
        try:
            while rest and not member.eof:
                found += member.decompress(rest, _CHUNK_BYTES)
                rest = member.unused_data if member.eof else member.unconsumed_tail
                _check_size(len(found), where)
        except zlib.error:
            return bytes(found), True
        if not member.eof:
            return bytes(found), True
    return bytes(found), False


def _check_size(size_bytes: int, where: str) -> None:
    if size_bytes > MAX_UNPACKED_BYTES:
        raise DiscoveryError(
            f"unpacks to more than {MAX_UNPACKED_BYTES >> 20} MB",
            where=where,
            remedy="split it into several sitemaps, or take it out of the site file",
        )


def decoded(body: bytes, headers: Mapping[str, str]) -> str:
    """Return the text of `body`, without characters that XML forbids.

    What is UTF-8 is read as such, whatever it claims: other encodings hardly ever look like it.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return _allowed(body.decode(encoding, "replace").lstrip("\ufeff"))
    try:
        return _allowed(body.decode("utf-8"))
    except UnicodeDecodeError:
        claimed = _claimed(body, headers)
    if claimed is not None and claimed != "utf-8":
        try:
            return _allowed(body.decode(claimed, "replace"))
        except ValueError:  # some of Python's own ("idna") replace nothing
            pass
    return _allowed(_STRAY_BYTE.sub(_western, body.decode("utf-8", "surrogateescape")))


def _allowed(text: str) -> str:
    return _FORBIDDEN.sub("", text)


def _western(match: re.Match[str]) -> str:
    # One stray byte in a UTF-8 page is most often a Windows quotation mark or dash.
    return bytes([ord(match[0]) - 0xDC00]).decode("cp1252", "ignore")


def _claimed(body: bytes, headers: Mapping[str, str]) -> str | None:
    """Return Python's name of the encoding that a header or the text's head names first."""
    header = re.search(r"charset\s*=\s*[\"']?([\w.:-]+)", headers.get("content-type", ""))
    match = _DECLARED.search(body[:4096])
    inside = (match[1] or match[2]).decode("ascii") if match else None
    for label in filter(None, (header[1] if header else None, inside)):
        try:
            name = codecs.lookup(label).name
            b"a".decode(name)
        except (LookupError, ValueError):  # unknown, or no encoding of text ("hex", "undefined")
            continue
        return _LARGER.get(name, name)
    return None


def well_referenced(text: str) -> str:
    """Return XML `text` whose every `&` starts a reference that XML itself knows.

    HTML's names become characters, all else plain text: with the document type gone too, there is
    no entity left that could grow.

    >>> well_referenced("R&D &nbsp;&bomb; &amp;")
    'R&amp;D &#160;&amp;bomb; &amp;'
    """
    # Behind the last end of a CDATA section none begins: without this, a text of unclosed ones
    # would be searched to its end from each of them.
    end = text.rfind("]]>") + len("]]>") if "]]>" in text else 0
    head, tail = text[:end], text[end:].replace("<![CDATA[", "")
    return _REFERENCE.sub(_reference, head) + _REFERENCE.sub(_reference, tail)


def _reference(match: re.Match[str]) -> str:
    whole, decimal, hexadecimal, name = match[0], match[1], match[2], match[3]
    if whole == "<":  # no tag: another begins before it ends
        return "&lt;"
    if whole.startswith("<") or name in _XML_NAMES:
        return whole
    if decimal or hexadecimal:
        # html.unescape also reads &#146; as the Windows apostrophe that was meant.
        characters = _allowed(html.unescape(whole))
    elif name and f"{name};" in html5:
        characters = html5[f"{name};"]
    else:
        return "&amp;" + whole[1:]
    return "".join(f"&#{ord(one)};" for one in characters)
