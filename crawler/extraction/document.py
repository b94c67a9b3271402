"""Bytes to one tree, parsed once and shared by every step."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping

from lxml import etree, html
from lxml.html import HtmlElement

from crawler.nesting import flatten, has_left_off

# Marks an element as cleaned away. The tree stays whole, so that CSS paths speak of the page
# as it was served; whoever walks it passes over what bears the mark.
REMOVED = "sitrep-removed"

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_META_CHARSET = re.compile(
    rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{2,40})", re.IGNORECASE
)
_HEADER_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:-]{2,40})", re.IGNORECASE)
_HTML_LANG = re.compile(rb"<html[^>]{0,500}?\blang\s*=\s*[\"']?([a-z]{2})", re.IGNORECASE)
# Encodings whose bytes are all ASCII: that UTF-8 decodes them proves nothing.
_ASCII_ONLY = ("iso-2022", "hz", "utf-7", "iso2022")
# What browsers read under these names (WHATWG Encoding Standard).
_ALIASES = {
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "us-ascii": "cp1252",
    "ascii": "cp1252",
    "iso-8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
}
_GREEK, _CYRILLIC, _LATIN = "cp1253", "cp1251", "cp1252"
_BY_LANGUAGE = {
    "el": _GREEK,
    "ru": _CYRILLIC,
    "uk": _CYRILLIC,
    "bg": _CYRILLIC,
    "be": _CYRILLIC,
    "sr": _CYRILLIC,
    "mk": _CYRILLIC,
}
# The commonest short words, between spaces, tell a Greek page from a Cyrillic one.
_WITNESSES = (
    (_GREEK, (" και ", " του ", " της ", " την ", " το ", " να ")),
    (_CYRILLIC, (" и ", " в ", " на ", " не ", " та ", " що ", " что ", " і ")),
)
_XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]{0,200}\?>")
# Soft hyphens and signs of no width: where a word may break, which a reader does not see.
_UNSEEN = ("\u00ad", "\u200b", "\u2060", "\ufeff")
_UNSEEN_ENTITY = re.compile("&(?:shy|#173|#8203);")
# Control characters that XML forbids, so that lxml would cut the text at them.
_CONTROLS = (*range(9), 11, 12, *range(14, 32))
# lxml.html asks Python for the class of every element, each time that it is looked at anew; what
# it finds differs for forms alone, which nobody here fills in.
_CLASSES = etree.ElementDefaultClassLookup(
    element=HtmlElement,
    comment=html.HtmlComment,
    pi=html.HtmlProcessingInstruction,
    entity=html.HtmlEntity,
)
_NO_CONTROL = bytes(32 if byte in _CONTROLS else byte for byte in range(256))


def decode(data: bytes, headers: Mapping[str, str] | None = None) -> str:
    """Return the page as text; bytes that no charset reads become U+FFFD, never an error.

    A byte order mark is believed first. Then UTF-8, when the bytes are valid UTF-8: no other
    text is so by chance, and pages that declare the wrong charset are common. Then what the
    header and the first 4 kB declare, then a guess between the three Windows code pages.
    """
    for mark, name in _BOMS:
        if data.startswith(mark):
            return data.decode(name, "replace")
    declared = declared_charsets(data, headers)
    if not (declared and declared[0].startswith(_ASCII_ONLY)):
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            pass
    if _is_damaged_utf8(data):
        return data.decode("utf-8", "replace")
    for name in declared:
        try:
            return data.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
    return data.decode(_guess(data), "replace")


def declared_charsets(data: bytes, headers: Mapping[str, str] | None) -> list[str]:
    """Return what the response declares, header first, in Python's names; UTF-8 left out."""
    names = [m[1] for m in [_HEADER_CHARSET.search(header(headers, "content-type"))] if m]
    names += [m[1].decode("ascii") for m in [_META_CHARSET.search(data[:4096])] if m]
    known = [_ALIASES.get(name.lower(), name.lower()) for name in names]
    return [name for name in known if _is_text_codec(name) and not name.startswith("utf")]


def header(headers: Mapping[str, str] | None, name: str) -> str:
    """Return the header whatever the case of its name, or an empty string."""
    for key, value in (headers or {}).items():
        if key.lower() == name:
            return str(value)
    return ""


def _is_text_codec(name: str) -> bool:
    try:
        b"a".decode(name)
    except (LookupError, UnicodeError, TypeError, ValueError):
        return False
    return True


def _is_damaged_utf8(data: bytes) -> bool:
    """Tell whether `data` is UTF-8 with a few bytes broken (a cut, a pasted smart quote)."""
    text = data.decode("utf-8", "replace")
    broken = text.count("�")
    letters = sum(ord(char) > 127 for char in text) - broken
    # Of text in a code page nearly no byte above 127 fits UTF-8.
    return letters > broken


def _guess(data: bytes) -> str:
    match = _HTML_LANG.search(data[:4096])
    if match and (name := _BY_LANGUAGE.get(match[1].decode("ascii").lower())):
        return name
    scores = []
    for name, words in _WITNESSES:
        text = data[:200_000].decode(name, "replace")
        scores.append((sum(text.count(word) for word in words), name))
    best, name = max(scores)
    return name if best >= 5 else _LATIN


# Of 1,781 public pages none has more than 20,000 tags or 3 MB.
_MANY_TAGS, _MOST_TAGS, _MOST_BYTES = 20_000, 100_000, 25_000_000


# How files begin that are no pages, whatever their header says: pictures, documents, archives.
_MAGIC = (b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"RIFF", b"%PDF-", b"PK\x03\x04", b"\x1f\x8b")
# NUL and ESC are left out: UTF-16 without a mark has the one, ISO-2022 the other.
_BINARY = bytes(byte for byte in _CONTROLS if byte not in (0, 27))
_HEAD, _MOST_BINARY = 4096, 0.05


def unfit(data: bytes) -> str | None:
    """Return why bytes are not to be read as a page, or None. Bounds what any step costs."""
    head = data[:_HEAD]
    is_binary = len(head) - len(head.translate(None, _BINARY)) > _MOST_BINARY * len(head)
    if is_binary or head.startswith(_MAGIC):
        return "not_html"
    if len(data) > _MOST_BYTES:
        return "too_large"
    # UTF-16 has a NUL beside each sign, which changes no count.
    return "too_many_tags" if data.count(b"<") > _MOST_TAGS else None


def parse(text: str) -> HtmlElement | None:
    """Return the root of the page's tree, or None where there is nothing to parse."""
    text = _XML_DECLARATION.sub("", text)
    for sign in _UNSEEN:
        # Seeking one costs a sixth of replacing none.
        text = text.replace(sign, "") if sign in text else text
    text = _UNSEEN_ENTITY.sub("", text)
    data = text.encode("utf-8", "replace").translate(_NO_CONTROL)
    if not data.strip():
        return None
    # What walks up the tree from every element costs the number of both, so not both are large.
    if data.count(b"<") > _MANY_TAGS:
        data = flatten(data.decode()).encode()
    root, is_cut = _tree(data)
    if is_cut:
        # Where the parser leaves off shows by parsing alone; what it had until there is lost.
        root, _ = _tree(flatten(data.decode()).encode())
    if root is not None:
        restore_addresses(root)
    return root


def _tree(data: bytes) -> tuple[HtmlElement | None, bool]:
    """Return the tree, and whether the parser left off at one of its limits."""
    parser = html.HTMLParser(encoding="utf-8", huge_tree=False, remove_comments=True)
    parser.set_element_class_lookup(_CLASSES)
    try:
        root = html.document_fromstring(data, parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError, AssertionError):
        root = None
    return root, has_left_off(parser)


def restore_addresses(root: HtmlElement) -> None:
    """Put back the e-mail addresses (and things like "HN@54") that Cloudflare took out."""
    for element in list(root.iter("a", "span")):
        code = element.get("data-cfemail")
        if code and (plain := _decode_address(code)):
            for child in list(element):
                element.remove(child)
            element.text = plain


def _decode_address(code: str) -> str:
    try:
        data = bytes.fromhex(code)
        plain = bytes(byte ^ data[0] for byte in data[1:]).decode("utf-8")
    except (ValueError, IndexError):
        return ""
    # What holds a control character was no address, and no tree takes it.
    return plain if plain.isprintable() else ""


# Elements whose end parts words, as a line break does.
BREAKING = frozenset((
    "p", "div", "br", "li", "ul", "ol", "tr", "td", "th", "table", "h1", "h2", "h3", "h4", "h5",
    "h6", "section", "article", "header", "footer", "aside", "blockquote", "figure", "figcaption",
    "dt", "dd", "dl", "pre", "form",
))  # fmt: skip


_UNREAD = frozenset(("script", "style", "template"))


def text_of(element: HtmlElement) -> str:
    """Return all text under `element`, white space folded; scripts and styles left out."""
    # Most elements that are asked for their text have no others in them.
    if not len(element):
        return " ".join((element.text or "").split()) if element.tag not in _UNREAD else ""
    parts: list[str] = []
    _gather(element, parts)
    return " ".join("".join(parts).split())


def _gather(element: HtmlElement, parts: list[str]) -> None:
    """Put the text under an element into `parts`, in order; a box is parted from what is around."""
    tag = element.tag
    if tag in _UNREAD or not isinstance(tag, str):
        return
    if is_box := tag in BREAKING:
        parts.append(" ")
    if text := element.text:
        parts.append(text)
    for child in element:
        _gather(child, parts)
        if tail := child.tail:
            parts.append(tail)
    if is_box:
        parts.append(" ")


def visible(root: HtmlElement) -> Iterator[HtmlElement]:
    """Yield the elements in order, without those that are marked as removed."""
    stack = [root]
    while stack:
        element = stack.pop()
        if isinstance(element.tag, str) and element.get(REMOVED) is None:
            yield element
            stack.extend(reversed(element))


def css_path(element: HtmlElement) -> str:
    """Return a short CSS path to `element`: its id, its first class, or its place in its parent.

    It is for a person who looks at the page's source; it need not be unique.
    """
    own = _label(element)
    if "#" in own or "." in own:
        return own
    parent = element.getparent()
    if parent is None or parent.tag in ("body", "html"):
        return f"{own}:nth-of-type({_place(element)})" if parent is not None else own
    return f"{_label(parent)} > {own}:nth-of-type({_place(element)})"


def full_css_path(element: HtmlElement) -> str:
    """Return the steps from the root down to `element`, each with its id or first class."""
    steps = [element, *element.iterancestors()]
    return " > ".join(_label(one) for one in reversed(steps))


def _label(element: HtmlElement) -> str:
    tag = str(element.tag)
    if (identity := element.get("id")) and re.fullmatch(r"[A-Za-z][\w-]*", identity):
        return f"{tag}#{identity}"
    for name in (element.get("class") or "").split():
        if re.fullmatch(r"[A-Za-z_-][\w-]*", name):
            return f"{tag}.{name}"
    return tag


def _place(element: HtmlElement) -> int:
    return 1 + sum(1 for _ in element.itersiblings(str(element.tag), preceding=True))
