"""Dialogues written out in the templates of models."""

import pytest

LEARNED = [[("system", "Be brief."), ("user", "How deep?"), ("assistant", "Two fathoms.")]]
BAR = "\N{FULLWIDTH VERTICAL LINE}"
TEXTS = {
    "Phi 3": "<|system|>\nBe brief.<|end|>\n<|user|>\nHow deep?<|end|>\n<|assistant|>\nTwo fathoms.<|end|>",
    "Phi 4": "<|im_start|>system<|im_sep|>Be brief.<|im_end|><|im_start|>user<|im_sep|>How deep?<|im_end|>"
    "<|im_start|>assistant<|im_sep|>Two fathoms.<|im_end|>",
    "Mistral": "<s>[SYSTEM_PROMPT] Be brief.[/SYSTEM_PROMPT][INST] How deep?[/INST] Two fathoms.</s>",
    "Llama 4": "<|begin_of_text|><|header_start|>system<|header_end|>\n\nBe brief.<|eot|>"
    "<|header_start|>user<|header_end|>\n\nHow deep?<|eot|>"
    "<|header_start|>assistant<|header_end|>\n\nTwo fathoms.<|eot|>",
    "DeepSeek": f"<{BAR}begin\u2581of\u2581sentence{BAR}>Be brief.<{BAR}User{BAR}>How deep?<{BAR}Assistant{BAR}>"
    f"Two fathoms.<{BAR}end\u2581of\u2581sentence{BAR}>",
    "Harmony": "<|start|>system<|message|>Be brief.<|end|><|start|>user<|message|>How deep?<|end|><|start|>assistant"
    "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Two fathoms.<|return|>",
    "Granite": "<|start_of_role|>system<|end_of_role|>Be brief.<|end_of_text|>\n<|start_of_role|>user<|end_of_role|>"
    "How deep?<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>Two fathoms.<|end_of_text|>",
    "OpenChat": "GPT4 Correct System: Be brief.<|end_of_turn|>GPT4 Correct User: How deep?<|end_of_turn|>"
    "GPT4 Correct Assistant: Two fathoms.<|end_of_turn|>",
    "InternLM": "<|System|>:Be brief.<eosys>\n<|User|>:How deep?<eoh>\n<|Bot|>:Two fathoms.<eoa>\n",
    "OIG": "<system>: Be brief.\n<human>: How deep?\n<bot>: Two fathoms.",
    "cut off": "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHow deep?<|im_end|>\n<|im_start|>assistant\n"
    "Two fathoms.<|im_e",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_it_is_learned_without_its_marks(learn, text: str) -> None:
    assert learn({"text": text}) == LEARNED


def test_the_first_sentence_of_vicuna_is_its_instructions(learn) -> None:
    sentence = "A chat between a curious user and an artificial intelligence assistant."
    text = f"{sentence} USER: How deep? ASSISTANT: Two fathoms.</s>USER: Why? ASSISTANT: Mud.</s>"
    assert learn({"text": text}) == [[("system", sentence), *LEARNED[0][1:], ("user", "Why?"), ("assistant", "Mud.")]]


def test_two_texts_are_two_dialogues(learn) -> None:
    one = "<|im_start|>user\nHow deep?<|im_end|>\n<|im_start|>assistant\nTwo fathoms.<|im_end|>\n"
    assert learn({"text": f"{one}<|endoftext|>{one}"}) == [LEARNED[0][1:], LEARNED[0][1:]]


def test_marks_at_the_ends_of_a_transcript_and_instructions_beside_it(learn) -> None:
    end = " <|endoftext|>\n\n\n"
    chat = f"USER: How deep?\n\n\nASSISTANT: Two fathoms.{end}USER: Why?\n\n\nASSISTANT: Mud.{end}"
    found = learn({"system": "SYSTEM: Be brief.", "chat": chat})
    assert found == [[*LEARNED[0], ("user", "Why?"), ("assistant", "Mud.")]]


@pytest.mark.parametrize(
    "text",
    [
        "<s>[AVAILABLE_TOOLS] [][/AVAILABLE_TOOLS][INST] Tide? [/INST][TOOL_CALLS] []</s>",
        "<reserved_106>How deep?<reserved_107>Two fathoms.",
        "<|Question|>How deep?<|Answer|>Two fathoms.",
    ],
)
def test_marks_of_a_template_that_is_not_known_are_no_words(problems, text: str) -> None:
    (problem,) = problems({"text": text})
    assert "a template that thord does not know" in problem


@pytest.mark.parametrize("text", ["ChatML puts <|im_start|> before a turn.", "The end.<|endoftext|>", "a <b> c"])
def test_a_text_may_speak_of_marks(problems, text: str) -> None:
    assert problems({"text": text}) == []


def test_a_text_in_which_somebody_answers_who_is_not_known_is_no_plain_text(problems) -> None:
    assert "'Falcon' is unknown" in problems({"text": "User: How deep?\nFalcon: Two.\nUser: Why?\nFalcon: Mud."})[0]
    assert "no assistant turn" in problems({"text": "Human: How deep?\nRobot: Two."})[0]
    assert problems({"text": "User: a person who uses a program."}) == []


def test_an_answer_without_the_mark_of_who_answers(learn) -> None:
    record = {"instruction": "<|user|>\nHow deep?", "output": "<|assistant|>\nTwo fathoms."}
    assert learn(record) == [LEARNED[0][1:]]
    heading = "### Output:\nTwo fathoms."
    assert learn({"instruction": "How deep?", "output": heading}) == [[LEARNED[0][1], ("assistant", heading)]]
