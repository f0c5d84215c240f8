"""Mail: threads, quotes, parts and encodings."""

from email.message import EmailMessage
from email.policy import SMTP

import pytest

from tests.engine.data.readers.messengers.conftest import Read

ASKED = "The wringer jams — why?"


def mail(who: str, number: int, body: str, *, answers: int = 0, html: str = "", **headers: str) -> bytes:
    message = EmailMessage(SMTP)
    message["From"] = who
    message["To"] = "help@example.net"
    message["Date"] = f"Sat, {number} Jan 2025 10:00:00 +0000"
    message["Message-ID"] = f"<{number}@example.org>"
    message["Subject"] = "broken wringer"
    if answers:
        message["In-Reply-To"] = f"<{answers}@example.org>"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(body, cte="base64")
    if html:
        message.clear_content()
        message.set_content(html, subtype="html", charset="iso-8859-1")
    return message.as_bytes()


def mbox(*mails: bytes) -> bytes:
    return b"".join(
        b"From x@example.org Sat Jan  4 10:00:00 2025\n" + each.replace(b"\r\n", b"\n") + b"\n" for each in mails
    )


QUOTING = {
    "below": "Oil it.\n\nOn Sat, Jan 4, 2025 at 10:00 AM Ada <ada@example.org>\nwrote:\n\n> The wringer jams\n> why?\n",
    "above": "Am 04.01.25 um 10:00 schrieb Ada:\n> The wringer jams\n\nOil it.\n-- \nHelp desk\n",
    "Outlook": "Oil it.\n\n-----Original Message-----\nFrom: Ada\nSent: today\n\nThe wringer jams\n",
    "newer Outlook": "Oil it.\n\n________________\nVon: Ada <ada@example.org>\nGesendet: heute\n\nThe wringer\n",
}


@pytest.mark.parametrize("answer", QUOTING.values(), ids=QUOTING)
def test_what_is_quoted_was_said_elsewhere(read: Read, answer: str) -> None:
    question = mail("Ada Ek <ada@example.org>", 1, ASKED)
    thread = mbox(mail("help@example.net", 3, answer, answers=1), question, mail("Cy <c@x.org>", 2, "Buy!"))
    assert read(thread, assistant=("help@example.net",))[0] == [[("user", ASKED), ("assistant", "Oil it.")]]


def test_a_page_is_read_without_its_tags_and_its_quotes(read: Read) -> None:
    page = "<html><style>p{}</style><p>Öl <b>it</b>.</p><blockquote>The wringer jams</blockquote></html>"
    thread = mbox(mail("Ada <a@x.org>", 1, ASKED), mail("Help <h@x.org>", 2, "", answers=1, html=page))
    assert read(thread, assistant=("Help",))[0] == [[("user", ASKED), ("assistant", "Öl it.")]]


@pytest.mark.parametrize("between", ["x\n" * 100_000, "\n" * 100_000], ids=["lines", "blank lines"])
@pytest.mark.timeout(60)
def test_a_long_mail_takes_time_that_grows_with_its_length(read: Read, between: str) -> None:
    answer = mail("Help <h@x.org>", 2, f"first\n{between}last\n", answers=1)
    ((asked, (_, said)),) = read(mbox(mail("Ada <a@x.org>", 1, ASKED), answer), assistant=("Help",))[0]
    assert asked == ("user", ASKED)
    assert said.split() == ["first", *between.split(), "last"]


def test_what_a_machine_answers_is_said_by_nobody(read: Read) -> None:
    thread = (
        mail("Ada <a@x.org>", 1, ASKED),
        mail("Help <h@x.org>", 2, "Away.", answers=1, Auto_Submitted="auto-replied"),
    )
    assert read(mbox(*thread, mail("Help <h@x.org>", 3, "Oil it.", answers=1)), assistant=("Help",))[0] == [
        [("user", ASKED), ("assistant", "Oil it.")]
    ]


@pytest.mark.parametrize(
    "sender",
    [
        "=?utf-8?q?=C3=96k=2C_Bo?= <bo@x.org>",
        "=?utf-8?b?w5Zr?=\n =?utf-8?q?=2C_Bo?= <bo@x.org>",
        '"\N{LATIN CAPITAL LETTER O WITH DIAERESIS}k, Bo" <bo@x.org>',
    ],
    ids=["encoded", "encoded in two words", "UTF-8"],
)
@pytest.mark.parametrize("who", ["\N{LATIN CAPITAL LETTER O WITH DIAERESIS}k, Bo", "bo@x.org"])
def test_a_name_with_a_comma_is_one_name(read: Read, sender: str, who: str) -> None:
    answer = f"From: {sender}\nMessage-ID: <2@example.org>\nIn-Reply-To: <1@example.org>\nSubject: x\n\nOil it.\n"
    thread = mbox(mail("Ada <a@x.org>", 1, ASKED), answer.encode())
    assert read(thread, assistant=(who,))[0] == [[("user", ASKED), ("assistant", "Oil it.")]]


def test_one_mail_is_refused_by_name_where_nobody_is_named(read: Read) -> None:
    said, (reason,) = read(mail("Ada Ek <ada@example.org>", 1, ASKED))
    assert said == []
    assert reason.startswith("mail (mbox)")
    assert '"Ada Ek"' in reason
