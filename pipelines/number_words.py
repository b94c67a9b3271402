"""Figures in a text, in digits or in words: what makes "three" and "3" one, and "five" another."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache

# By language, the words of a value in the forms that news has them. "One" is left out where it is
# the article as well; what has more than one meaning is there, since only changes are asked for.
_WORDS = {
    "en": """0 zero nil;1 one;2 two second;3 three third;4 four fourth;5 five fifth;6 six sixth;
        7 seven seventh;8 eight eighth;9 nine ninth;10 ten tenth;11 eleven;12 twelve dozen;
        13 thirteen;14 fourteen;15 fifteen;16 sixteen;17 seventeen;18 eighteen;19 nineteen;
        20 twenty;30 thirty;40 forty;50 fifty;60 sixty;70 seventy;80 eighty;90 ninety;
        100 hundred hundreds;1000 thousand thousands;1000000 million millions m mn;
        1000000000 billion billions bn;1000000000000 trillion""",
    "de": """0 null;2 zwei zwo beide;3 drei;4 vier;5 fünf;6 sechs;7 sieben;8 acht;9 neun;10 zehn;
        11 elf;12 zwölf dutzend;13 dreizehn;14 vierzehn;15 fünfzehn;16 sechzehn;17 siebzehn;
        18 achtzehn;19 neunzehn;20 zwanzig;30 dreißig dreissig;40 vierzig;50 fünfzig;60 sechzig;
        70 siebzig;80 achtzig;90 neunzig;100 hundert hunderte;1000 tausend tausende;
        1000000 million millionen mio;1000000000 milliarde milliarden mrd""",
    "fr": """0 zéro;2 deux;3 trois;4 quatre;5 cinq;6 six;7 sept;8 huit;9 neuf;10 dix;11 onze;
        12 douze douzaine;13 treize;14 quatorze;15 quinze;16 seize;20 vingt vingts;30 trente;
        40 quarante;50 cinquante;60 soixante;70 septante;80 huitante;90 nonante;100 cent cents;
        1000 mille milliers;1000000 million millions;1000000000 milliard milliards""",
    "es": """0 cero;2 dos;3 tres;4 cuatro;5 cinco;6 seis;7 siete;8 ocho;9 nueve;10 diez;11 once;
        12 doce docena;13 trece;14 catorce;15 quince;16 dieciséis;17 diecisiete;18 dieciocho;
        19 diecinueve;20 veinte;21 veintiuno veintiún veintiuna;22 veintidós;23 veintitrés;
        24 veinticuatro;25 veinticinco;26 veintiséis;27 veintisiete;28 veintiocho;29 veintinueve;
        30 treinta;40 cuarenta;50 cincuenta;60 sesenta;70 setenta;80 ochenta;90 noventa;
        100 cien ciento;200 doscientos doscientas;300 trescientos trescientas;
        400 cuatrocientos cuatrocientas;500 quinientos quinientas;1000 mil miles;
        1000000 millón millones""",
    "it": """0 zero;2 due;3 tre;4 quattro;5 cinque;6 sei;7 sette;8 otto;9 nove;10 dieci;11 undici;
        12 dodici dozzina;13 tredici;14 quattordici;15 quindici;16 sedici;17 diciassette;
        18 diciotto;19 diciannove;20 venti;30 trenta;40 quaranta;50 cinquanta;60 sessanta;
        70 settanta;80 ottanta;90 novanta;100 cento;1000 mille mila;1000000 milione milioni;
        1000000000 miliardo miliardi""",
    "pt": """0 zero;2 dois duas;3 três;4 quatro;5 cinco;6 seis;7 sete;8 oito;9 nove;10 dez;11 onze;
        12 doze dúzia;13 treze;14 quatorze catorze;15 quinze;16 dezesseis dezasseis;
        17 dezessete dezassete;18 dezoito;19 dezenove dezanove;20 vinte;30 trinta;40 quarenta;
        50 cinquenta;60 sessenta;70 setenta;80 oitenta;90 noventa;100 cem cento;
        200 duzentos duzentas;300 trezentos trezentas;500 quinhentos quinhentas;1000 mil;
        1000000 milhão milhões;1000000000 bilhão bilhões""",
    "nl": """0 nul;2 twee;3 drie;4 vier;5 vijf;6 zes;7 zeven;8 acht;9 negen;10 tien;11 elf;
        12 twaalf;13 dertien;14 veertien;15 vijftien;16 zestien;17 zeventien;18 achttien;
        19 negentien;20 twintig;30 dertig;40 veertig;50 vijftig;60 zestig;70 zeventig;80 tachtig;
        90 negentig;100 honderd honderden;1000 duizend duizenden;1000000 miljoen;
        1000000000 miljard""",
    "pl": """0 zero;1 jeden jedna;2 dwa dwie dwoje dwóch dwaj;3 trzy trzej trzech troje;
        4 cztery czterej czterech czworo;5 pięć pięciu pięcioro;6 sześć sześciu;7 siedem siedmiu;
        8 osiem ośmiu;9 dziewięć dziewięciu;10 dziesięć dziesięciu;11 jedenaście jedenastu;
        12 dwanaście dwunastu;13 trzynaście;14 czternaście;15 piętnaście piętnastu;16 szesnaście;
        17 siedemnaście;18 osiemnaście;19 dziewiętnaście;20 dwadzieścia dwudziestu;
        30 trzydzieści trzydziestu;40 czterdzieści;50 pięćdziesiąt;60 sześćdziesiąt;
        70 siedemdziesiąt;80 osiemdziesiąt;90 dziewięćdziesiąt;100 sto stu;200 dwieście;
        300 trzysta;500 pięćset;1000 tysiąc tysiące tysięcy tys;
        1000000 milion miliony milionów mln;1000000000 miliard miliardy miliardów mld""",
    "ru": """0 ноль;1 один одна одного;2 два две двое двух двоих;3 три трое трёх троих;
        4 четыре четверо четырёх четверых;5 пять пятеро пяти пятерых;6 шесть шестеро шести шестерых;
        7 семь семеро семи семерых;8 восемь восьмеро восьми;9 девять девяти;
        10 десять десяти десятеро;11 одиннадцать;12 двенадцать дюжина;13 тринадцать;
        14 четырнадцать;15 пятнадцать;16 шестнадцать;17 семнадцать;18 восемнадцать;
        19 девятнадцать;20 двадцать двадцати;30 тридцать тридцати;40 сорок сорока;50 пятьдесят;
        60 шестьдесят;70 семьдесят;80 восемьдесят;90 девяносто;100 сто ста;200 двести;300 триста;
        400 четыреста;500 пятьсот;1000 тысяча тысячи тысяч тыс;
        1000000 миллион миллиона миллионов млн;1000000000 миллиард миллиарда миллиардов млрд""",
    "uk": """0 нуль;1 один одна одного;2 два дві двоє двох;3 три троє трьох;
        4 чотири четверо чотирьох;5 п'ять п'ятеро п'яти п'ятьох;6 шість шестеро шести шістьох;
        7 сім семеро семи сімох;8 вісім восьмеро восьми;9 дев'ять дев'яти;10 десять десяти десятеро;
        11 одинадцять;12 дванадцять;13 тринадцять;14 чотирнадцять;15 п'ятнадцять;16 шістнадцять;
        17 сімнадцять;18 вісімнадцять;19 дев'ятнадцять;20 двадцять двадцяти;30 тридцять;40 сорок;
        50 п'ятдесят;60 шістдесят;70 сімдесят;80 вісімдесят;90 дев'яносто;100 сто;200 двісті;
        300 триста;400 чотириста;500 п'ятсот;1000 тисяча тисячі тисяч тис;
        1000000 мільйон мільйони мільйонів млн;1000000000 мільярд мільярди мільярдів млрд""",
    "el": """0 μηδέν;2 δύο δυο;3 τρεις τρία τριών;4 τέσσερις τέσσερα τεσσάρων;5 πέντε;6 έξι;
        7 επτά εφτά;8 οκτώ οχτώ;9 εννέα εννιά;10 δέκα;11 έντεκα;12 δώδεκα;13 δεκατρείς δεκατρία;
        14 δεκατέσσερις δεκατέσσερα;15 δεκαπέντε;16 δεκαέξι;17 δεκαεπτά;18 δεκαοκτώ;19 δεκαεννέα;
        20 είκοσι;30 τριάντα;40 σαράντα;50 πενήντα;60 εξήντα;70 εβδομήντα;80 ογδόντα;90 ενενήντα;
        100 εκατό εκατόν;200 διακόσια διακόσιοι διακόσιες;300 τριακόσια τριακόσιοι τριακόσιες;
        500 πεντακόσια πεντακόσιοι πεντακόσιες;1000 χίλια χίλιοι χίλιες χιλιάδες;
        1000000 εκατομμύριο εκατομμύρια εκατ;1000000000 δισεκατομμύριο δισεκατομμύρια δισ""",
    "tr": """0 sıfır;2 iki;3 üç;4 dört;5 beş;6 altı;7 yedi;8 sekiz;9 dokuz;10 on;20 yirmi;30 otuz;
        40 kırk;50 elli;60 altmış;70 yetmiş;80 seksen;90 doksan;100 yüz;1000 bin;1000000 milyon;
        1000000000 milyar""",
    "ar": """2 اثنان اثنين اثنتان اثنتين;3 ثلاثة ثلاث;4 أربعة أربع;5 خمسة خمس;6 ستة ست;7 سبعة سبع;
        8 ثمانية ثماني ثمان;9 تسعة تسع;10 عشرة عشر;20 عشرون عشرين;30 ثلاثون ثلاثين;
        40 أربعون أربعين;50 خمسون خمسين;60 ستون ستين;70 سبعون سبعين;80 ثمانون ثمانين;
        90 تسعون تسعين;100 مئة مائة;200 مئتان مئتين;1000 ألف آلاف;2000 ألفان ألفين;
        1000000 مليون ملايين;1000000000 مليار مليارات""",
}  # fmt: skip
_JOINERS = frozenset({"-", "and", "et", "und", "y", "e", "και", "ו", "en"})
_AR_PREFIXES = ("و", "ب", "ل")  # and, with, for: written as one word with what follows

_HAN = {c: Decimal(n) for n, c in enumerate("零一二三四五六七八九")} | {
    "〇": Decimal(0), "两": Decimal(2), "兩": Decimal(2), "十": Decimal(10), "百": Decimal(100),
    "千": Decimal(1000), "万": Decimal(10_000), "萬": Decimal(10_000),
    "亿": Decimal(100_000_000), "億": Decimal(100_000_000),
}  # fmt: skip

_GROUPED = re.compile(r"\d{1,3}(?:([.,' ])\d{3})(?:\1\d{3})*(?:[.,]\d{1,2})?")


def figures(words: Sequence[str], *, language: str | None) -> Counter[Decimal]:
    """Return the values of the figures in a sentence's words, each as often as it stands there.

    >>> sorted(figures("some twenty - five men and 1,200 tonnes".split(), language="en"))
    [Decimal('25'), Decimal('1200')]
    """
    base = (language or "").partition("-")[0]
    return Counter(_composed([(word, _value(word, base)) for word in words], language=base))


def is_figure(word: str, *, language: str | None) -> bool:
    return _value(word, (language or "").partition("-")[0]) is not None


def _composed(words: Sequence[tuple[str, Decimal | None]], *, language: str) -> Iterator[Decimal]:
    """Put numbers together that are one: twenty-five, three hundred, 1.5 million, 三十五."""
    whole: Decimal | None = None
    last = Decimal(0)
    for word, value in words:
        if value is None and word.casefold() in _JOINERS:
            continue
        joined = None
        if value is not None and whole is not None:
            kind = "zh" if word in _HAN else "" if word[:1].isdigit() else language or "en"
            joined = _joined(whole, last, value, language=kind)
        if joined is None and whole is not None:
            yield whole
        whole, last = (joined if joined is not None else value), value or Decimal(0)
    if whole is not None:
        yield whole


_SCALES = frozenset(Decimal(10) ** n for n in (2, 3, 4, 6, 8, 9, 12))


def _joined(whole: Decimal, last: Decimal, value: Decimal, *, language: str) -> Decimal | None:
    """Return what a number and the next one make, or None where they are two.

    `language` is that of the next one, and empty for digits, which nothing is added to.
    """
    if value in _SCALES or (language == "zh" and value == 10 and last < 10):
        return _multiplied(whole, value)
    if language == "fr" and last == 4 and value == 20:  # quatre-vingt
        return whole + 76
    if language == "ar" and last < 10 <= value < 100:  # five and twenty
        return whole + value
    if not language or last < 10 or last % 10 or value >= last:
        return None
    teens_follow = last >= 100 or (language == "fr" and last in {60, 20})
    return whole + value if value < 10 or teens_follow else None


def _multiplied(whole: Decimal, scale: Decimal) -> Decimal | None:
    """Multiply what stands below the scale: in "two thousand three hundred", the three alone."""
    below = whole % (scale * 10)
    return whole + below * (scale - 1) if below and below < scale else None


def _value(word: str, language: str | None) -> Decimal | None:
    if word[:1].isdigit():
        return _of_digits(word)
    if word in _HAN:
        return _HAN[word]
    return _named(word, (language or "").partition("-")[0])


def _of_digits(word: str) -> Decimal | None:
    """Read digits of any script; a mark before three of them parts thousands, else decimals."""
    text = "".join(str(unicodedata.digit(c)) if c.isdigit() else c for c in word)
    text = text.replace("٬", ",").replace("٫", ".")
    if match := _GROUPED.fullmatch(text):
        mark = match[1]
        text = text.replace(mark, "")
    text = text.replace(",", ".")
    return Decimal(text) if text.count(".") <= 1 and text.replace(".", "").isdigit() else None


def _named(word: str, language: str) -> Decimal | None:
    language = language if language in _WORDS else _language_of(word)
    table, plain = _table(language), _plain(word)
    if plain in table:
        return table[plain]
    if language == "ar" and plain.startswith(_AR_PREFIXES):
        return table.get(plain[1:])
    return _compounds(language).get(plain)


_SCRIPTS = (("\u0370", "\u03ff", "el"), ("\u0400", "\u04ff", "uk"), ("\u0600", "\u06ff", "ar"))


def _language_of(word: str) -> str:
    """Return the language whose words are tried where it is not known: by the script alone."""
    found = (language for low, high, language in _SCRIPTS if low <= word[:1] <= high)
    return next(found, "en")


@cache
def _table(language: str) -> Mapping[str, Decimal]:
    entries = (entry.split() for entry in _WORDS[language].split(";"))
    return {_plain(word): Decimal(value) for value, *words in entries for word in words}


@cache
def _compounds(language: str) -> Mapping[str, Decimal]:
    """Return the tens and units that are written as one word."""
    table = _table(language)
    units = {word: value for word, value in table.items() if 0 < value < 10}
    tens = {word: value for word, value in table.items() if 20 <= value < 100}
    if language == "it":  # venticinque, but ventuno and ventotto
        pairs = [
            (f"{t[:-1] if u[0] in 'uo' else t}{u}", t, u) for t in tens for u in (*units, "uno")
        ]
    elif language in {"de", "nl"}:  # fünfundzwanzig, vijfentwintig
        joint = "und" if language == "de" else "en"
        pairs = [(f"{u}{joint}{t}", t, u) for t in tens for u in (*units, "ein", "een")]
    else:
        pairs = []
    return {word: tens[t] + units.get(u, Decimal(1)) for word, t, u in pairs}


def _plain(word: str) -> str:
    """Return a word as it is looked up: no case, no accents (capitals lose them in Greek)."""
    parts = unicodedata.normalize("NFD", word.casefold())
    return "".join(c for c in parts if not unicodedata.combining(c))
