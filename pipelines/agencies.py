"""Which news agency a text says that it comes from: by dateline, byline, sign-off or address.

A credit counts, a mention does not: "Roe told Reuters" is somebody else's report.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

# An agency's name, then the forms of it that credits have, then (in brackets) its own hosts.
_TABLE = """
Reuters: Reuters; Thomson Reuters; Рейтер; 路透社; رويترز; ロイター [reuters.com]
AP: AP; Associated Press; The Associated Press; 美联社; أسوشيتد برس [apnews.com ap.org]
AFP: AFP; Agence France-Presse; 法新社; أ ف ب; فرانس برس [afp.com]
dpa: dpa; dpa-AFX; Deutsche Presse-Agentur [dpa.com dpa-international.com]
UPI: UPI; United Press International [upi.com]
PA: PA Media; PA News Agency; Press Association [pa.media]
Bloomberg: Bloomberg; Bloomberg News [bloomberg.com]
Canadian Press: The Canadian Press; La Presse Canadienne [thecanadianpress.com]
AAP: AAP; Australian Associated Press [aap.com.au]
ANSA: ANSA [ansa.it]
AGI: AGI [agi.it]
Adnkronos: Adnkronos [adnkronos.com]
EFE: EFE; Agencia EFE [efe.com]
Europa Press: Europa Press [europapress.es]
Lusa: Lusa; Agência Lusa [lusa.pt]
Agência Brasil: Agência Brasil [agenciabrasil.ebc.com.br]
Belga: Belga [belga.be belganewsagency.eu]
ANP: ANP [anp.nl]
APA: APA [apa.at]
Keystone-SDA: Keystone-SDA; SDA; Keystone-ATS; ATS [keystone-sda.ch]
PAP: PAP; Polska Agencja Prasowa [pap.pl]
ČTK: ČTK; CTK [ctk.cz ceskenoviny.cz]
TASR: TASR [tasr.sk]
MTI: MTI [mti.hu]
Agerpres: Agerpres; AGERPRES [agerpres.ro]
BTA: BTA; БТА [bta.bg]
Tanjug: Tanjug; Танјуг [tanjug.rs]
HINA: HINA; Hina [hina.hr]
Ritzau: Ritzau; Ritzaus Bureau [ritzau.dk]
NTB: NTB [ntb.no]
STT: STT; STT-Lehtikuva [stt.fi]
BNS: BNS; Baltic News Service [bns.ee bns.lt bns.lv]
LETA: LETA [leta.lv]
TASS: TASS; ITAR-TASS; ТАСС; ИТАР-ТАСС [tass.com tass.ru]
RIA Novosti: RIA Novosti; РИА Новости [ria.ru]
Interfax-Ukraine: Interfax-Ukraine; Интерфакс-Украина; Інтерфакс-Україна [interfax.com.ua]
Interfax: Interfax; Интерфакс; Інтерфакс [interfax.ru interfax.com]
Ukrinform: Ukrinform; Укринформ; Укрінформ [ukrinform.net ukrinform.ua ukrinform.com ukrinform.de]
UNIAN: UNIAN; УНИАН; УНІАН [unian.ua unian.net unian.info]
BelTA: BelTA; БелТА; БЕЛТА [belta.by]
AMNA: AMNA; ANA-MPA; ANA; ΑΠΕ-ΜΠΕ; ΑΠΕ [amna.gr ana-mpa.gr]
CNA: CNA; ΚΥΠΕ; Cyprus News Agency [cna.org.cy]
Anadolu: Anadolu; Anadolu Agency; Anadolu Ajansı; AA [aa.com.tr]
DHA: DHA; Demirören Haber Ajansı [dha.com.tr]
İHA: İHA; IHA; İhlas Haber Ajansı [iha.com.tr]
Xinhua: Xinhua; Xinhua News Agency; 新华社; 新華社; شينخوا [xinhuanet.com news.cn]
China News Service: China News Service; CNS; 中新社; 中新网 [chinanews.com chinanews.com.cn ecns.cn]
Kyodo: Kyodo; Kyodo News; 共同; 共同通信 [kyodonews.net kyodo.co.jp]
Jiji: Jiji; Jiji Press; 時事; 時事通信 [jiji.com]
Yonhap: Yonhap; Yonhap News Agency; 연합뉴스 [yna.co.kr]
KCNA: KCNA [kcna.kp]
PTI: PTI; Press Trust of India [ptinews.com]
ANI: ANI; Asian News International [aninews.in]
IANS: IANS [ianslive.in]
Bernama: Bernama; BERNAMA [bernama.com]
Antara: Antara; ANTARA [antaranews.com]
SPA: SPA; واس [spa.gov.sa]
WAM: WAM; وام [wam.ae]
MENA: MENA; أ ش أ [mena.org.eg]
KUNA: KUNA; كونا [kuna.net.kw]
QNA: QNA; قنا [qna.org.qa]
Petra: Petra; بترا [petra.gov.jo]
IRNA: IRNA; ایرنا; إرنا [irna.ir]
"""
# Letters of other things besides: only a dateline or sign-off in brackets says that they are this.
_AMBIGUOUS = frozenset(
    {"AA", "SDA", "ATS", "CNA", "CNS", "ANA", "SPA", "MENA", "Petra", "Antara", "قنا"}
)


@dataclass(frozen=True, slots=True)
class Credit:
    """The agency that a text names as its source; `is_own` on that agency's own site."""

    agency: str
    is_own: bool = False


def _entries() -> list[tuple[str, list[str], list[str]]]:
    found = []
    for line in _TABLE.strip().splitlines():
        name, _, rest = line.partition(": ")
        forms, _, hosts = rest.rstrip("]").partition(" [")
        found.append((name, forms.split("; "), hosts.split()))
    return found


_BY_FORM = {form: name for name, forms, _ in _entries() for form in forms}
_BY_FORM |= {form.upper(): name for form, name in list(_BY_FORM.items()) if len(form) > 4}
_BY_HOST = {host: name for name, _, hosts in _entries() for host in hosts}
_CLEAR = {form.casefold(): name for form, name in _BY_FORM.items() if form not in _AMBIGUOUS}

_FORM = "|".join(sorted(map(re.escape, _BY_FORM), key=len, reverse=True))
_LONG = "|".join(re.escape(form) for form in _BY_FORM if len(form) > 4)
_SHORT = "|".join(re.escape(form) for form in _BY_FORM if len(form) <= 4)
# What a text without any credit does not have: for a first, quick look at it, by any engine.
ANY_MARK = f"{_SHORT}|(?i:{_LONG})|" + "|".join(map(re.escape, _BY_HOST))

# As in: "KYIV, March 3 (Reuters) - ", "BERLIN (dpa/AFP) — ".
_BRACKETED = (
    rf"[^\n]{{0,90}}?[(\[/（【](?P<form>{_FORM})(?:[/+,][^()\n]{{1,24}})?[)\]/）】]\s*[-–—_:]"
)
# As in: "МОСКВА, 3 марта. /ТАСС/. ", "KYIV. May 3 (Ukrinform). ".
_STOPPED = rf"[^\n]{{0,60}}?[(/](?P<form>{_FORM})[)/]\.\s"
# As in: "(서울=연합뉴스) ", "【共同】".
_FIRST = rf"[(（【](?:[^()\n]{{1,20}}=)?(?P<form>{_FORM})[)）】]"
# As in: "МОСКВА, 3 мар - РИА Новости. ", "القاهرة - رويترز: ".
_DASHED = rf"[^\n.]{{2,50}}[-–—]\s?(?P<form>{_FORM})\s?(?:[.:،]|[-–—]\s)"
# As in: "新华社北京3月3日电".
_CHINESE = rf"[(（【]?(?P<form>{_FORM})[^\n。，]{{1,24}}[电電]"
_HEADS = (_BRACKETED, _STOPPED, _FIRST, _DASHED, _CHINESE)

_SOURCE = (
    r"source|quelle|fuente|fonte|źródło|πηγή|источник|джерело|kaynak|المصدر|来源|來源|출처|bron"
)
# The last line: "Source: Reuters", "(ANSA)", "© AFP", or at its end "… said. (dpa)"
_SIGNED = (
    rf"(?:(?i:{_SOURCE})\s*[:：]\s*|©\s*(?:\d{{4}}\s+)?|^[-–—]\s*|^)(?P<form>{_FORM})\.?\s*$"
    rf"|[(\[（/](?P<bracketed>{_FORM})[)\]）/]\.?\s*$"
)
_PARTS = re.compile(r"\s*[,/|·•&;()+]\s*|\s[-–—]\s|\s(?:and|und|et|y|e|with|και|и|і|mit|via)\s")
_AROUND_NAME = re.compile(
    r"(?i)^(?:by|von|par|por|di|the|from|από)\s+"
    r"|\s+(?:staff|news|newsroom|wire|agency|reporter|writers?|in \w+)$"
)


# Whoever makes the views pays for these only when a query asks for an agency.
_compiled = cache(re.compile)


def credit_of(
    *,
    url: str,
    authors: Sequence[str] = (),
    byline: str | None = None,
    head: str = "",
    tail: str = "",
) -> Credit | None:
    """Return whose text it is by its own word; `head` and `tail` are the first and last of it.

    >>> credit_of(url="https://post.example/a", head="KYIV, May 3 (Reuters) - Three ships left.")
    Credit(agency='Reuters', is_own=False)
    >>> credit_of(url="https://post.example/a", head="Roe told Reuters that three ships left.")
    """
    if own := agency_of_host(urlsplit(url).hostname or ""):
        return Credit(own, is_own=True)
    form = _in_head(head) or _in_tail(tail)
    name = _BY_FORM[form] if form else _in_names([*authors, byline or ""])
    return Credit(name) if name else None


@cache
def agency_of_host(host: str) -> str | None:
    """Return the agency whose site a host is, `en.` and its like in front or not."""
    labels = host.casefold().split(".")
    found = (_BY_HOST.get(".".join(labels[at:])) for at in range(len(labels)))
    return next((name for name in found if name), None)


def _in_head(head: str) -> str | None:
    matches = (_compiled(pattern).match(head.lstrip()) for pattern in _HEADS)
    return next((match["form"] for match in matches if match and _stands_alone(match)), None)


def _stands_alone(match: re.Match[str]) -> bool:
    """Tell a credit from what only introduces a short name: "the Associated Press (AP)"."""
    before = match.string[: match.start("form")].rstrip(" (（[/")
    name = _BY_FORM[match["form"]]
    return not any(before.endswith(form) for form, other in _BY_FORM.items() if other == name)


def _in_tail(tail: str) -> str | None:
    lines = tail.rstrip().splitlines()
    match = _compiled(_SIGNED).search(lines[-1]) if lines else None
    return (match["form"] or match["bracketed"]) if match else None


def _in_names(names: Iterable[str]) -> str | None:
    """Return the agency that one of the authors is, or that a byline names beside them."""
    parts = (part for name in names for part in _PARTS.split(name))
    found = (_CLEAR.get(_bare(part).casefold()) for part in parts)
    return next((name for name in found if name), None)


def _bare(part: str) -> str:
    while (shorter := _AROUND_NAME.sub("", part.strip())) != part:
        part = shorter
    return part
