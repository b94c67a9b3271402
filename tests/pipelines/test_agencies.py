"""Whose text it is by its own word: a credit counts, a mention does not."""

from __future__ import annotations

import re

import pytest

from pipelines.agencies import ANY_MARK, Credit, agency_of_host, credit_of
from pipelines.coverage import coverage

POST = "https://post.example/hull-7"


@pytest.mark.parametrize(
    ("head", "agency"),
    [
        ("KYIV, May 3 (Reuters) - Three hulls left.", "Reuters"),
        ("(Reuters) - Three hulls left.", "Reuters"),
        ("PORT VALE, Sept. 3 (AP) — Three hulls left.", "AP"),
        ("BERLIN (dpa/lno) - Drei Schiffe liefen aus.", "dpa"),
        ("Paris (AFP) – Trois navires sont partis.", "AFP"),
        ("(ANSA) - ROMA, 3 MAG - Tre navi sono partite.", "ANSA"),
        ("BEIJING, May 3 (Xinhua) -- Three hulls left.", "Xinhua"),
        ("新华社北京5月3日电 三艘船离开了。", "Xinhua"),
        ("（新华社北京5月3日电）三艘船离开了。", "Xinhua"),
        ("МОСКВА, 3 мая. /ТАСС/. Три корабля вышли.", "TASS"),
        ("МОСКВА, 3 мая - РИА Новости. Три корабля вышли.", "RIA Novosti"),
        ("КИЇВ. 3 травня (Укрінформ). Три кораблі вийшли.", "Ukrinform"),
        ("ΑΘΗΝΑ (ΑΠΕ-ΜΠΕ) - Τρία πλοία έφυγαν.", "AMNA"),
        ("ANKARA (AA) - Üç gemi ayrıldı.", "Anadolu"),
        ("(서울=연합뉴스) 배 세 척이 떠났다.", "Yonhap"),
        ("القاهرة - رويترز: غادرت ثلاث سفن.", "Reuters"),
    ],
)
def test_a_dateline_names_the_agency(head: str, agency: str) -> None:
    assert credit_of(url=POST, head=head) == Credit(agency)


@pytest.mark.parametrize(
    ("tail", "agency"),
    [
        ("It ends here.\n\nSource: Reuters", "Reuters"),
        ("Es endet hier. (dpa)", "dpa"),
        ("Τελειώνει εδώ.\n\nΠηγή: ΑΠΕ-ΜΠΕ", "AMNA"),
        ("Здесь конец.\n\nИсточник: ТАСС", "TASS"),
        ("结束。\n\n来源：新华社", "Xinhua"),
        ("It ends here.\n\n© 2024 AFP", "AFP"),
    ],
)
def test_a_sign_off_names_the_agency(tail: str, agency: str) -> None:
    assert credit_of(url=POST, tail=tail) == Credit(agency)


@pytest.mark.parametrize(
    ("authors", "byline", "agency"),
    [
        (("Reuters",), None, "Reuters"),
        (("Ada Roe",), "By Ada Roe, The Associated Press", "AP"),
        ((), "By ADA ROE, ASSOCIATED PRESS WRITER", "AP"),
        ((), "Reuters Staff", "Reuters"),
        ((), "Anna Muster (dpa)", "dpa"),
        (("AFP News Agency",), None, "AFP"),
        ((), "Ada Roe | Укринформ", "Ukrinform"),
    ],
)
def test_an_author_or_byline_names_the_agency(
    authors: tuple[str, ...], byline: str | None, agency: str
) -> None:
    assert credit_of(url=POST, authors=authors, byline=byline) == Credit(agency)


@pytest.mark.parametrize(
    ("head", "tail", "byline"),
    [
        ("Roe told Reuters on Monday that three hulls had left.", "", None),
        ("The Associated Press (AP) - a news agency - moved house.", "", None),
        ("Agence France-Presse (AFP) said that it had hired.", "", None),
        ("The yard's new owner (AA) was not named.", "", None),
        ("", "The minister spoke to AFP", None),
        ("", "", "By Ada Reuters"),
        ("", "", "By Bloom Berg"),
        ("", "", "AA"),
    ],
)
def test_a_mention_is_no_credit(head: str, tail: str, byline: str | None) -> None:
    assert credit_of(url=POST, head=head, tail=tail, byline=byline) is None


def test_an_agencys_own_site_is_known_by_its_host_alone() -> None:
    assert credit_of(url="https://en.yna.co.kr/view/A1") == Credit("Yonhap", is_own=True)
    assert agency_of_host("www.interfax.com.ua") == "Interfax-Ukraine"
    for stranger in ("notreuters.com", "reuters.com.example", "com", ""):
        assert agency_of_host(stranger) is None


def test_no_credit_escapes_the_quick_look_that_goes_before() -> None:
    for text in ("By ADA ROE, ASSOCIATED PRESS", "reuters staff", "(dpa)", "https://tass.com/1"):
        assert re.search(ANY_MARK, text)
    assert not re.search(ANY_MARK, "By Ada Roe of the Harbour Gazette on three hulls.")


def test_coverage_is_the_share_of_words_that_stand_there_three_in_a_row() -> None:
    assert coverage("One two three four.", "“One, TWO — three four!”") == 1.0
    assert coverage("one two three four five six", "x one two three y four five") == 0.5
    assert coverage("one two three", "three two one") == 0.0
    assert coverage("one", "two one") == 1.0
    assert coverage("", "one") == 1.0
