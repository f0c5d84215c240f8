import torch
from transformers import LlamaForCausalLM

from engine.data.samples import Dialogue, Message, Text
from engine.evaluation import sample_answers
from engine.evaluation.sample_answers import Prompt
from engine.models.base import LanguageModel
from engine.tokenizers.base import END, Tokenizer

QUESTION = (Message("user", "What of green owl number 1201?"),)


def test_an_answer_is_what_the_reference_generates_greedily(
    model: LanguageModel, tokenizer: Tokenizer, llama: LlamaForCausalLM
) -> None:
    prompt = torch.tensor([tokenizer.encode_prompt(QUESTION)])
    end = tokenizer.special(END)
    generated = llama.generate(prompt, max_new_tokens=20, do_sample=False, eos_token_id=end, pad_token_id=0)
    expected = tokenizer.decode(generated[0, prompt.shape[1] :].tolist())
    assert sample_answers.answer(model, tokenizer, Prompt(messages=QUESTION), 20) == expected
    assert "was seen." in expected


def test_an_answer_has_at_most_the_tokens_allowed(untrained: LanguageModel, tokenizer: Tokenizer) -> None:
    for limit in (1, 7, 500):
        answer = sample_answers.answer(untrained, tokenizer, Prompt(text="The red"), limit)
        assert len(answer.encode()) <= limit * 30


def test_a_prompt_beyond_the_context_loses_its_beginning(model: LanguageModel, tokenizer: Tokenizer) -> None:
    long = (Message("user", "word " * 500), *QUESTION)
    assert isinstance(sample_answers.answer(model, tokenizer, Prompt(messages=long), 10), str)


def test_configured_prompts_come_before_held_out_ones() -> None:
    held_out = [Dialogue(messages=(*QUESTION, Message("assistant", "The green owl was seen.")))]
    assert [prompt.shown for prompt in sample_answers.prompts(["Who?"], held_out)] == ["Who?"]
    (prompt,) = sample_answers.prompts([], held_out)
    assert prompt.messages == QUESTION
    assert prompt.expected == "The green owl was seen."


def test_the_opening_of_a_text_is_continued_and_a_monologue_is_no_prompt() -> None:
    text = "Once upon a time there was a fox. " * 20
    silent = Dialogue(messages=(Message("assistant", "I begin."),))
    (prompt,) = sample_answers.prompts([], [silent, Text(text=text)])
    assert text.startswith(prompt.text + prompt.expected)
    assert prompt.text
    assert prompt.expected
