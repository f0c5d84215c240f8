"""Programs that people run themselves: what was said is learned, with what the model saw of files, and in order."""

import pytest

ASKED_AND_ANSWERED = [("user", "How deep?"), ("assistant", "Two fathoms.")]


def fragment(part: dict[str, object], kind: str = "content") -> dict[str, object]:
    return {"ft": kind, "fId": "f", "part": part}


def written(text: str) -> dict[str, object]:
    return fragment({"pt": "text", "text": text})


BIG_AGI: dict[str, object] = {
    "id": "c",
    "messages": [
        {"role": "user", "fragments": [written("How deep?")]},
        {"role": "assistant", "fragments": [fragment({"pt": "ma", "aText": "hm"}, "void"), written("Two fathoms.")]},
    ],
}
CONTINUE: dict[str, object] = {
    "sessionId": "s",
    "history": [
        {"message": {"role": "user", "content": "How deep?"}, "contextItems": []},
        {"message": {"role": "thinking", "content": "hm"}, "contextItems": []},
        {"message": {"role": "assistant", "content": "Two fathoms."}, "contextItems": []},
    ],
}
ASKED, ANSWERED = {"role": "user", "content": "How deep?"}, {"role": "assistant", "content": "Two fathoms."}
NEXT_CHAT = {"sessions": [{"messages": [ASKED, ANSWERED], "mask": {"context": []}}]}


@pytest.mark.parametrize(
    "record",
    [BIG_AGI, {"conversations": [BIG_AGI]}, CONTINUE, {"chat-next-web-store": NEXT_CHAT, "app-config": {}}],
    ids=["big-AGI", "big-AGI, all", "Continue", "NextChat"],
)
def test_what_was_said_is_learned(learn, record: object) -> None:
    assert learn(record) == [ASKED_AND_ANSWERED]


def test_documents_whose_text_is_there_stand_before_the_question(learn) -> None:
    document = fragment({"pt": "doc", "data": {"idt": "text", "text": "The pool is deep."}}, "attachment")
    messages = [
        {"role": "user", "fragments": [written("How deep?"), document]},
        {"role": "assistant", "fragments": [written("Two fathoms.")]},
    ]
    asked = ("user", "The pool is deep.\n\nHow deep?")
    assert learn({"messages": messages}) == [[asked, ASKED_AND_ANSWERED[1]]]
    items = [
        {"message": ASKED, "contextItems": [{"content": "The pool is deep."}]},
        {"message": ANSWERED, "contextItems": []},
    ]
    assert learn({"history": items}) == [[asked, ASKED_AND_ANSWERED[1]]]


def test_calls_of_continue_are_calls(learn) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "sound", "arguments": '{"at": "pier"}'}}
    items = [
        {"message": ASKED, "contextItems": []},
        {"message": {"role": "assistant", "content": "", "toolCalls": [call]}, "contextItems": []},
        {"message": {"role": "tool", "content": "2", "toolCallId": "1"}, "contextItems": []},
        {"message": ANSWERED, "contextItems": []},
    ]
    assert learn({"history": items}) == [
        [
            ("user", "How deep?"),
            ("assistant", '{"name": "sound", "arguments": {"at": "pier"}}'),
            ("tool", "2"),
            ("assistant", "Two fathoms."),
        ]
    ]


def test_pictures_and_failures(learn, problems) -> None:
    picture = {"role": "user", "fragments": [fragment({"pt": "image_ref"}), written("What is it?")]}
    answer = {"role": "assistant", "fragments": [written("A wren.")]}
    assert "only text can be learned" in problems({"messages": [picture, answer]})[0]
    cut_off = {"role": "assistant", "fragments": [written("Two fa")], "generator": {"tokenStopReason": "out-of-tokens"}}
    asked = {"role": "user", "fragments": [written("How deep?")]}
    assert learn({"messages": [asked, cut_off, asked, answer]}) == [
        [("user", "How deep?"), ("context", "Two fa"), ("user", "How deep?"), ("assistant", "A wren.")]
    ]


def test_the_mask_of_next_chat_comes_first(learn) -> None:
    session = {"messages": [ASKED, ANSWERED], "mask": {"context": [{"role": "system", "content": "Be brief."}]}}
    assert learn({"sessions": [session]}) == [[("system", "Be brief."), *ASKED_AND_ANSWERED]]


OF_LIBRECHAT = [
    {"messageId": "1", "text": "How deep?", "isCreatedByUser": True},
    {"messageId": "2", "parentMessageId": "1", "text": "Two fathoms.", "isCreatedByUser": False},
]


def test_instructions_of_librechat_and_open_webui(learn) -> None:
    record = {"options": {"promptPrefix": "Be brief."}, "messages": OF_LIBRECHAT}
    assert learn(record) == [[("system", "Be brief."), *ASKED_AND_ANSWERED]]
    chat = {"params": {"system": "Be brief."}, "messages": [ASKED, ANSWERED], "history": {"messages": {}}}
    assert learn({"chat": chat}) == [[("system", "Be brief."), *ASKED_AND_ANSWERED]]


def test_files_sent_with_a_message_are_refused(problems) -> None:
    sent = {**OF_LIBRECHAT[0], "files": [{"filename": "p.jpg"}]}
    assert "'files'" in problems({"messages": [sent, OF_LIBRECHAT[1]]})[0]
    part = {"type": "text", "text": "How deep?"}
    chat = [{"role": "user", "contentParts": [part], "pictures": [{"storageKey": "k"}]}]
    assert "'pictures'" in problems({"messages": chat})[0]


def test_rows_of_librechat_that_are_unfinished_are_context_only(learn_rows) -> None:
    def row(number: str, is_asked: str, text: str, unfinished: str = "false") -> dict[str, str]:
        return {"messageid": number, "iscreatedbyuser": is_asked, "text": text, "unfinished": unfinished}

    rows = [row("1", "true", "a"), row("2", "false", "b", "true"), row("3", "true", "c"), row("4", "false", "d")]
    assert learn_rows(rows) == [[("user", "a"), ("context", "b"), ("user", "c"), ("assistant", "d")]]


def test_a_session_of_gemini_cli_is_read_with_its_calls(learn, problems) -> None:
    given = [{"functionResponse": {"response": {"output": "2"}}}]
    call = {"id": "1", "name": "sound", "args": {}, "result": given}
    messages = [
        {"type": "info", "content": "Update available"},
        {"type": "user", "content": "How deep?"},
        {"type": "gemini", "content": "", "thoughts": [{"subject": "x"}], "toolCalls": [call]},
        {"type": "gemini", "content": [{"text": "Hm.", "thought": True}, {"text": "Two."}]},
    ]
    (found,) = learn({"sessionId": "s", "messages": messages})
    assert [role for role, _ in found] == ["user", "assistant", "tool", "assistant"]
    assert (found[2], found[3]) == (("tool", "2"), ("assistant", "Two."))
    typed = {"sessionId": "s", "messageId": 0, "type": "user", "message": "How deep?"}
    assert "only what was typed" in problems(typed)[0]


def test_parts_of_gemini_cli_may_be_texts(learn) -> None:
    said = [{"type": "user", "content": ["How deep?"]}, {"type": "gemini", "content": "Two."}]
    assert learn({"sessionId": "a", "messages": said}) == [[("user", "How deep?"), ("assistant", "Two.")]]


def test_what_only_looks_like_a_notice_of_another_program_is_learned(learn) -> None:
    said = [("user", "<INSTRUCTIONS>\nTranslate: Haus"), ("assistant", "House")]
    talk = {"messages": [{"role": role, "parts": [{"type": "text", "text": text}]} for role, text in said]}
    assert learn(talk) == [said]


def test_the_first_exchange_of_gemini_cli_is_its_own(learn) -> None:
    parts = ["This is the Gemini CLI. We are setting up the context for our chat.", "Got it. Thanks for the context!"]
    parts += ["How deep?", "Two."]
    listed = [{"role": ("user", "model")[n % 2], "parts": [{"text": text}]} for n, text in enumerate(parts)]
    assert learn(listed) == [[("user", "How deep?"), ("assistant", "Two.")]]


def cherry(*answers: dict[str, object]) -> dict[str, object]:
    asked = {"id": "q", "role": "user", "blocks": ["bq"]}
    messages = [asked, *({"id": a["id"], "role": "assistant", "askId": "q", "blocks": [a["id"]], **a} for a in answers)]
    blocks = [{"id": name, "type": "main_text", "content": f"{name} said"} for name in ("bq", "x", "y")]
    return {"version": 5, "indexedDB": {"topics": [{"id": "t", "messages": messages}], "message_blocks": blocks}}


def test_of_several_answers_in_cherry_studio_the_chosen_one_counts(learn, problems) -> None:
    said = [[("user", "bq said"), ("assistant", "y said")]]
    assert learn(cherry({"id": "y"})) == said
    assert learn(cherry({"id": "x", "foldSelected": False}, {"id": "y", "foldSelected": True})) == said
    assert "side by side" in problems(cherry({"id": "x"}, {"id": "y"}))[0]


def test_answers_of_typing_mind_side_by_side_are_refused_by_name(learn, problems) -> None:
    answers = [{"model": model, "messages": [ANSWERED]} for model in ("a", "b")]
    several = {"chatID": "c", "messages": [ASKED, {"type": "tm_multi_responses", "responses": answers}]}
    only = {"chatID": "d", "messages": [ASKED, {"type": "tm_multi_responses", "responses": answers[:1]}]}
    export = {"data": {"chats": [several, only], "folders": []}}
    assert learn(export) == [ASKED_AND_ANSWERED]
    assert [problem for problem in problems(export) if "TypingMind: 2 models answered side by side (a, b)" in problem]
