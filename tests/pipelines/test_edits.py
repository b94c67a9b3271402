"""What was changed between two versions: which sentences, and of what kind."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.edits import KINDS, Change, Telling, changes_between, kinds_of
from pipelines.sentences import sentences


def texts(text: str) -> list[str]:
    return [one.text for one in sentences(text)]


def changed(before: str, after: str, language: str | None = "en") -> list[Change]:
    """Return what was changed in the body."""
    was, now = (Telling(article_body=text, in_language=language) for text in (before, after))
    return list(changes_between(was, now))


# --- sentences ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parts",
    [
        ["Lt. Gen. Roe commands the U.S. Navy's reserve.", "He took over on Sept. 3."],
        ["She lives in the U.S.", "The yard is in Port Vale."],
        ["Mr. J. A. Doe said no.", "Then he left at 10 a.m. on Tuesday."],
        ["It cost $3.5 million, i.e. No. 7 on the list.", "Is that much?", "“Yes!”", "He nodded."],
        ["“We saw it.", "It sank,” she said.", "Nobody spoke…", "Then all did."],
        ["The Vale Corp. hull is no. 4 of five.", "Capt. Mara Roe, USN (ret.), was there."],
        ["Am 3. Mai lief die Fregatte aus.", "Oblt. Muster kam z.B. mit 2,5 Mio. Euro."],
        ["Le 3 mai, Mme. Roux est partie.", "M. Dupont, lui, reste.", "Pourquoi ?", "Rien."],
        ["El Gral. Pérez llegó a EE.UU. ayer.", "¿Por qué?", "Nadie lo sabe."],
        ["Gen. Nowak i płk. Kowal przybyli 3. maja.", "Tzw. okręt stoi w porcie."],
        ["Ген. Петров купил 5 тыс. тонн.", "Он уехал в 2024 г. на юг.", "Зачем?", "Неясно."],
        ["Ο κ. Δοκός είδε το πλοίο.", "Πότε έφυγε;", "Κανείς δεν ξέρει, π.χ. ο λιμενάρχης."],
        ["«Πότε;» ρώτησε ο κυβερνήτης.", "Δεν απάντησε κανείς."],
        ["متى غادرت السفينة؟", "لا أحد يعلم.", "عادت أمس."],
        ["船昨天离开了港口。", "为什么？", "没人知道！", "他说：“船沉没了。", "没有人受伤。”"],
        ["Alb. Demir 19. Filo'yu ziyaret etti.", "Ne zaman?", "Bilinmiyor."],
        ["जहाज़ कल निकला।", "कोई नहीं जानता।"],
    ],
    ids=lambda parts: parts[0][:24],
)
def test_a_text_is_parted_into_its_sentences_in_any_script(parts: list[str]) -> None:
    joint = "" if parts[0].startswith("船") else " "
    assert texts(joint.join(parts)) == parts
    assert texts("\n\n".join(parts)) == parts


def test_what_stands_in_quotation_marks_is_known_of_each_sentence() -> None:
    quoted = {
        "“We saw it. It sank,” he said. He left.": ["We saw it.", "It sank,", ""],
        "„Wir gehen“, sagte er. Er ging.": ["Wir gehen", ""],
        "Он сказал: «Мы уходим. Завтра». Все молчали.": ["Мы уходим.", "Завтра", ""],
        "他说：「船沉没了。」他离开了。": ["船沉没了。", ""],
        'The so-called "reserve" is one hull. "It never sailed': ["reserve", "It never sailed"],
    }
    for text, expected in quoted.items():
        assert [one.quoted for one in sentences(text)] == expected


@settings(deadline=None)
@given(st.text(alphabet="aB .!?。;؟\n\"“”«»'A1é中3ع", max_size=60))
def test_no_letter_of_a_text_is_lost_between_sentences(text: str) -> None:
    assert "".join("".join(texts(text)).split()) == "".join(text.split())


# --- figures ------------------------------------------------------------------------------------

FIGURES = [
    ("en", "Three sailors were killed.", "Five sailors were killed.", "Three", "Five"),
    ("en", "The yard built 12 hulls.", "The yard built 21 hulls.", "12", "21"),
    ("en", "It cost $1.5 million.", "It cost $1.5 billion.", "million", "billion"),
    ("en", "Twenty-five men left the hull.", "Twenty-six men left the hull.", "five", "six"),
    ("en", "Three sailors were killed.", "11 sailors were killed.", "Three", "11"),
    ("en", "Several sailors were killed.", "Nine sailors were killed.", "Several", "Nine"),
    ("de", "Drei Matrosen wurden getötet.", "Fünf Matrosen wurden getötet.", "Drei", "Fünf"),
    ("de", "Etwa fünfundzwanzig Mann gingen.", "Etwa siebenundzwanzig Mann gingen.",
     "fünfundzwanzig", "siebenundzwanzig"),
    ("fr", "Trois marins ont été tués.", "Cinq marins ont été tués.", "Trois", "Cinq"),
    ("es", "Tres marineros murieron ayer.", "Veintidós marineros murieron ayer.",
     "Tres", "Veintidós"),
    ("it", "Tre marinai sono morti.", "Ventotto marinai sono morti.", "Tre", "Ventotto"),
    ("pt", "Três marinheiros morreram ontem.", "Dezoito marinheiros morreram ontem.",
     "Três", "Dezoito"),
    ("nl", "Drie matrozen zijn gedood.", "Vijf matrozen zijn gedood.", "Drie", "Vijf"),
    ("pl", "Zginęło dwóch marynarzy floty.", "Zginęło pięciu marynarzy floty.", "dwóch", "pięciu"),
    ("ru", "Двое моряков погибли в порту.", "Пятеро моряков погибли в порту.", "Двое", "Пятеро"),
    ("uk", "Троє моряків загинули в порту.", "П'ятеро моряків загинули в порту.",
     "Троє", "П'ятеро"),
    ("el", "Τρεις ναύτες σκοτώθηκαν.", "Πέντε ναύτες σκοτώθηκαν.", "Τρεις", "Πέντε"),
    ("tr", "Patlamada üç denizci öldü.", "Patlamada beş denizci öldü.", "üç", "beş"),
    ("ar", "قتل ثلاثة جنود في الميناء.", "قتل خمسة جنود في الميناء.", "ثلاثة", "خمسة"),
    ("ar", "قتل ٣ جنود في الميناء.", "قتل ١٥ جنديا في الميناء.", None, None),
    ("zh", "爆炸造成三人死亡。", "爆炸造成五人死亡。", "三", "五"),
    (None, "Troje? Двоє моряків загинули.", "Troje? Шестеро моряків загинули.",
     "Двоє", "Шестеро"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "before", "after", "was", "now"), FIGURES)
def test_another_figure_is_a_change_of_numbers_in_words_and_digits(
    language: str | None, before: str, after: str, was: str | None, now: str | None
) -> None:
    [one] = changed(f"{before} X.", f"{after} X.", language)
    assert one.kinds == ("numbers",)
    assert (one.before, one.after) == (texts(before)[-1], texts(after)[-1])
    if was:
        assert (one.words_before, one.words_after) == ((was,), (now,))


@pytest.mark.parametrize(
    ("language", "before", "after"),
    [
        ("en", "Twenty-five men came.", "25 men came."),
        ("en", "It cost 1,200,000 in all.", "It cost 1.2 million in all."),
        ("en", "Two thousand three hundred came.", "2,300 came."),
        ("de", "Es kamen dreiundzwanzig Mann.", "Es kamen 23 Mann."),
        ("de", "Es kostet 2,5 Milliarden Euro.", "Es kostet 2.500.000.000 Euro."),
        ("fr", "Quatre-vingt-dix-sept marins partent.", "97 marins partent."),
        ("es", "Vinieron treinta y cinco mil.", "Vinieron 35.000."),
        ("it", "Arrivano ventuno navi.", "Arrivano 21 navi."),
        ("ru", "Пришли двадцать пять тысяч.", "Пришли 25 000."),
        ("tr", "Yirmi üç gemi geldi.", "23 gemi geldi."),
        ("ar", "وصل خمسة وعشرون جنديا.", "وصل ٢٥ جنديا."),
        ("zh", "三十五人离开了。", "35人离开了。"),
        ("el", "ΕΙΚΟΣΙ ΠΕΝΤΕ ναύτες έφυγαν.", "25 ναύτες έφυγαν."),
    ],
)
def test_a_figure_written_otherwise_is_no_change_of_numbers(
    language: str, before: str, after: str
) -> None:
    [one] = changed(before, after, language)
    assert "numbers" not in one.kinds


# --- the other kinds ----------------------------------------------------------------------------

KINDS_OF = [
    ("names", "en", "Capt. Mara Roe spoke in Port Vale.", "Capt. Mara Doe spoke in Port Vale."),
    ("names", "en", "The ship left for Iran.", "The ship left for Iraq."),
    ("names", "en", "It carries the F-16 only.", "It carries the F-35 only."),
    ("names", "ru", "Флот вышел из Порт-Вейла.", "Флот вышел из Нор-Хейвена."),
    ("names", "el", "Το πλοίο έφυγε από την Κορώνη.", "Το πλοίο έφυγε από την Μεθώνη."),
    ("names", "de", "Dann sprach Kapitän Anna Muster.", "Dann sprach Kapitän Anna Beispiel."),
    ("quotation", "en", "He said: “We will win.”", "He said: “We might win.”"),
    ("quotation", "uk", "Він сказав: «Ми підемо».", "Він сказав: «Ми залишимось»."),
    ("quotation", "zh", "他说：“船已离开。”", "他说：“船将离开。”"),
    ("typo", "en", "The navy recieved the hull.", "The navy received the hull."),
    ("typo", "en", "The the navy has the hull.", "The navy has the hull."),
    ("typo", "en", "The navy has an air craft.", "The navy has an aircraft."),
    ("typo", "en", "the Navy, has it", "The navy has it."),
    ("typo", "fr", "La frégate a eté vendue.", "La frégate a été vendue."),
    ("typo", "el", "Η φρεγατα έφυγε χθες.", "Η φρεγάτα έφυγε χθες."),
    ("wording", "en", "They could leave at once.", "They would leave at once."),
    ("wording", "en", "The armed crew left.", "The unarmed crew left."),
    ("wording", "en", "The crew left on Monday.", "The crew left on Friday."),
    ("wording", "de", "Die Fregatte lief heute aus.", "Das Schiff lief heute aus."),
    ("wording", "ja", "艦は昨日出た。", "艦は今日出た。"),
]


@pytest.mark.parametrize(("kind", "language", "before", "after"), KINDS_OF)
def test_a_changed_sentence_has_its_kind_and_no_other(
    kind: str, language: str, before: str, after: str
) -> None:
    [one] = changed(f"Q.\n{before}\nQ.", f"Q.\n{after}\nQ.", language)
    assert one.kinds == (kind,)
    assert (one.before, one.after) == (before, after)


def test_one_sentence_may_be_changed_in_more_than_one_way() -> None:
    [one] = changed(
        "“Three ships left,” Roe said in the port.", "“Five ships left,” Doe said in the port."
    )
    assert one.kinds == ("numbers", "names", "quotation")
    [one] = changed("He met Zelemsky there.", "He met Zelensky there.")
    assert one.kinds == ("names", "typo")


def test_the_word_at_a_sentences_head_is_a_name_where_the_text_has_it_elsewhere() -> None:
    rest = " The crew of Varna and of Corvin waited."
    [one] = changed("Varna left the port at noon." + rest, "Corvin left the port at noon." + rest)
    assert one.kinds == ("names",)
    [one] = changed("Later it left the port at noon.", "Today it left the port at noon.")
    assert one.kinds == ("wording",)


def test_a_headline_is_compared_as_one_whatever_its_capitals() -> None:
    before = Telling(headline="Three Dead As Frigate Burns", article_body="A.", in_language="en")
    after = Telling(headline="Five Dead As Destroyer Burns", article_body="A.", in_language="en")
    [one] = changes_between(before, after)
    assert (one.part, one.kinds) == ("headline", ("numbers",))
    assert kinds_of([one]) == ("headline", "numbers")


def test_every_part_that_changed_is_told_and_none_that_is_not_asked_for() -> None:
    before = Telling(
        headline="A hull", description="It is one.", authors=("Ines Harrow",), article_body="Old.",
        date="2024-05-06T08:15:00Z", access="free",
    )  # fmt: skip
    after = Telling(
        headline="Two hulls", description="It is two.", authors=("Orla Tamm",),
        article_body="New text.", date="2024-05-07T08:15:00Z", access="paid",
    )  # fmt: skip
    found = changes_between(before, after)
    parts = ["headline", "description", "body", "authors", "date", "access"]
    assert list(dict.fromkeys(one.part for one in found)) == parts
    assert kinds_of(found)[:5] == KINDS[:5]
    assert {one.part for one in changes_between(before, after, parts=["date"])} == {"date"}


# --- alignment ----------------------------------------------------------------------------------


def test_what_was_added_and_removed_is_told_in_its_place_and_the_rest_is_left_alone() -> None:
    before = "One came first. Two was cut out later. Three stayed as it was. Four stayed too."
    after = "One came first. Three stayed as it was. Now a line is put in. Four stayed too."
    assert [(one.kinds, one.before, one.after) for one in changed(before, after)] == [
        (("removed",), "Two was cut out later.", None),
        (("added",), None, "Now a line is put in."),
    ]


def test_a_changed_sentence_is_found_among_added_ones() -> None:
    before = "The yard sold three hulls to the navy last year. Nobody complained."
    after = (
        "A fire broke out at noon. The yard sold five hulls to the navy last year. "
        "Its owner was away. Nobody complained."
    )
    assert [one.kinds for one in changed(before, after)] == [("added",), ("numbers",), ("added",)]


def test_a_sentence_that_only_moved_is_told_once() -> None:
    before = "One came first. Two came next. Three came last."
    after = "Three came last. One came first. Two came next."
    [one] = changed(before, after)
    assert (one.kinds, one.before, one.after) == (
        ("moved",), "Three came last.", "Three came last.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("One came. Two came.", "One came.\n\nTwo came."),
        ("“It’s here” – he said.", '"It\'s here" - he said.'),
        ("One\u00a0came.", "  One came. "),
        ("", ""),
    ],
)
def test_space_paragraphs_and_typography_are_no_change(before: str, after: str) -> None:
    assert changed(before, after) == []


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from(["Ape ran.", "Bee flew.", "Cat sat.", "Dog bit 3 men."]), max_size=8),
    st.lists(st.sampled_from(["Ape ran.", "Bee flew.", "Cat sat.", "Dog bit 5 men."]), max_size=8),
)
def test_before_and_after_follow_from_each_other_by_what_is_told(
    before: list[str], after: list[str]
) -> None:
    found = changed(" ".join(before), " ".join(after))
    gone = [one.before for one in found if one.before and one.kinds != ("moved",)]
    come = [one.after for one in found if one.after and one.kinds != ("moved",)]
    kept = list(before)
    for sentence in gone:
        kept.remove(sentence)
    assert sorted([*kept, *come]) == sorted(after)


_ANYTHING = st.text(max_size=80) | st.text(
    alphabet="Ab1. ,-'\"“”«»;？。三十百いπ.χΆ٣ثة\u0301\u200f\n", max_size=80
)


@settings(deadline=None, max_examples=300)
@given(_ANYTHING, _ANYTHING, st.sampled_from([None, "en", "de", "fr", "ar", "zh", "it", "xx"]))
def test_no_two_texts_are_beyond_it_and_each_change_has_a_kind(
    before: str, after: str, language: str | None
) -> None:
    was = Telling(headline=before, description=after, article_body=before, in_language=language)
    now = Telling(headline=after, description=before, article_body=after, in_language=language)
    found = changes_between(was, now)
    assert all(one.kinds and set(one.kinds) <= set(KINDS) for one in found)
    assert all(one.before is not None or one.after is not None for one in found)
    assert changes_between(was, was) == ()


def test_an_article_of_a_million_words_and_one_without_an_end_are_compared_in_time() -> None:
    long = " ".join(
        f"The crew of hull {n} left the quay at dawn on day {n}." for n in range(20_000)
    )
    begun = time.process_time()
    [one] = changed(long, long.replace("hull 777 left", "hull 777 burnt"))
    assert one.kinds == ("wording",)
    assert len(changed("word " * 300_000, "word " * 300_000 + "x")) == 1
    assert len(changed("Same here. " * 20_000, "Same here. " * 10_000)) > 0
    assert time.process_time() - begun < 15
