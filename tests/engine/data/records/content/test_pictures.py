"""A picture in the text itself costs the conversation, wherever it stands; a dot in a style sheet does not."""

import pytest

from engine.data.records.content.pictures import has_picture

PICTURE = f"![a boat](data:image/png;base64,{'iVBORw0KGgo' * 30}=)"
DOT = f"url(data:image/gif;base64,{'R0lGODlh' * 8})"


@pytest.mark.parametrize(
    "record",
    [
        {"messages": [{"role": "user", "content": f"What is it? {PICTURE}"}, {"role": "assistant", "content": "b"}]},
        {"messages": [{"role": "user", "content": "Draw"}, {"role": "assistant", "content": PICTURE}]},
        {"prompt": f"What is it? {PICTURE}", "completion": "b"},
        {"prompt": "What?", "chosen": PICTURE, "rejected": "c"},
    ],
    ids=["asked", "answered", "prompt", "preference"],
)
def test_a_conversation_with_a_picture_is_refused(record, problems) -> None:
    assert problems(record) == [
        "a picture, a sound or a file in the text (data:...;base64,...): only text can be learned"
    ]


def test_a_dot_in_a_style_sheet_is_learned(learn) -> None:
    asked = f"What is this? {DOT}"
    record = {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": "A dot."}]}
    assert learn(record) == [[("user", asked), ("assistant", "A dot.")]]


@pytest.mark.parametrize("kind", ["image/svg+xml;charset=utf-8", "audio/mpeg", "application/pdf", "video/mp4"])
def test_all_kinds_of_files_are_found(kind: str) -> None:
    assert has_picture(f'<a href="data:{kind};base64,{"QUJD" * 60}">')


@pytest.mark.parametrize("asked", ["<image>\nWhat is it?", "What is it?\n<video>", "<audio>"])
def test_a_line_that_stands_for_a_picture_costs_the_conversation(problems, asked: str) -> None:
    (reason,) = problems({"conversations": [{"from": "human", "value": asked}, {"from": "gpt", "value": "A boat."}]})
    assert "stands for a picture" in reason


@pytest.mark.parametrize("asked", ["What does <image> mean?", "<video> or <audio>: which?", "Write\n<image>\nin XML"])
def test_the_name_of_a_tag_in_a_line_is_text(learn, asked: str) -> None:
    record = {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": "A tag."}]}
    assert learn(record) == [[("user", asked), ("assistant", "A tag.")]]


@pytest.mark.parametrize("key", ["images", "attachments", "files", "audio"])
def test_what_is_sent_with_a_message_costs_the_conversation(problems, learn, key: str) -> None:
    asked, answered = {"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "A boat."}
    (reason,) = problems({"messages": [{**asked, key: [{"name": "a.png"}]}, answered]})
    assert f"turn 1: '{key}' beside what was said" in reason
    assert len(learn({"messages": [{**asked, key: []}, answered]})) == 1


@pytest.mark.parametrize("asked", ["![](boat.png) What is it?", "What is it?\n\n![boat](https://example.org/boat.png)"])
def test_a_question_about_a_picture_in_markdown_costs_the_conversation(problems, asked: str) -> None:
    (reason,) = problems(
        {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": "A boat."}]}
    )
    assert "picture in Markdown" in reason


@pytest.mark.parametrize("said", ["Write ![a](b.png) to show it.", "# Boat\n\n![badge](b.svg)\n\nA tool for boats."])
def test_pictures_inside_of_a_text_are_text(learn, said: str) -> None:
    assert len(learn({"messages": [{"role": "user", "content": said}, {"role": "assistant", "content": said}]})) == 1
    shown = f"Here:\n\n![boat]({'b' * 20}.png)"
    assert len(learn({"messages": [{"role": "user", "content": "Draw"}, {"role": "assistant", "content": shown}]})) == 1
