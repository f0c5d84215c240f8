"""Pages of HTML are read in time that grows with their length, and what is shown of them is found."""

import pytest

from engine.data.readers.messengers.mail_text import body_of
from engine.data.readers.messengers.pages import Tag, tokens_of
from engine.data.records.text import unescaped


def test_tags_and_words() -> None:
    page = "<!DOCTYPE html><p title='a > b'>How <B class=x>deep</B>?<!-- <p>no --><br/>Two &lt; it's<a href=it's>x"
    assert list(tokens_of(page)) == [
        *(Tag("p", False), "How ", Tag("b", False), "deep", Tag("b", True), "?", Tag("br", False)),
        *("Two < it's", Tag("a", False), "x"),
    ]


def test_scripts_hold_no_tags() -> None:
    page = "<script>if (a<b) write('<p>')</script>Deep<STYLE>p > b {}"
    assert list(tokens_of(page)) == [Tag("script", False), Tag("script", True), "Deep", Tag("style", False)]


@pytest.mark.parametrize(
    "unit",
    [
        "<",
        "<a ",
        "<a b ",
        "</a ",
        "<a x='",
        '<a "',
        "<a =",
        "<!--",
        "<!DOCTYPE ",
        "<![",
        "<?",
        "<script>",
        "&#",
        "&amp",
    ],
)
def test_a_hostile_page_ends_soon(unit: str) -> None:
    assert sum(1 for _ in tokens_of(unit * (300_000 // len(unit)))) <= 300_000


def test_a_reference_to_no_character_is_one_that_cannot_be_shown() -> None:
    assert unescaped(f"a&#{'9' * 5000};b&#x{'f' * 9};c&#65;") == "a\ufffdb\ufffdcA"
    assert (
        body_of_page("<p>Deep &amp; wide</p><blockquote>How deep?</blockquote><p>Yours</p>") == "Deep & wide\n\nYours"
    )


def body_of_page(page: str) -> str:
    from email.message import EmailMessage

    message = EmailMessage()
    message.set_content(page, subtype="html")
    return body_of(message)
