"""The tasks that are there without a setting. ``[tasks.NAME]`` changes what it names of one, or adds another."""

from engine.data.tasks.task import DEFAULT_TEMPLATES, Task

_ANSWER = "{text_pair}\n\n{text}"

READY_MADE: dict[str, Task] = {
    task.name: task
    for task in (
        Task("text_generation", "generate", template="{text}", style="text"),
        Task("chat", "generate", template="{text}"),
        Task("summarization", "generate", template="{text}\n\nSummarize this text.", measures=("rougeL", "chrf")),
        Task("paraphrase", "generate", template="{text}\n\nSay this in other words."),
        Task("translation", "generate", template="{text}\n\nTranslate this into English.", measures=("chrf", "bleu")),
        Task("code_completion", "generate", template="{text}", style="text", measures=("chrf",)),
        Task("long_context_qa", "generate", template=_ANSWER, measures=("squad2_f1", "rougeL")),
        Task("question_answering", "extract", template=DEFAULT_TEMPLATES["extract"]),
        Task("text_classification", "classify"),
        Task(
            "sentiment_analysis",
            "classify",
            labels=("negative", "neutral", "positive"),
            template="{text}\n\nWhat is the sentiment of this text: {labels}?",
            label_values={"neg": "negative", "pos": "positive", "neu": "neutral"},
            is_numbered=False,  # 1 is neutral in some sets, and positive in those that have two labels
        ),
        Task("intent_detection", "classify", template="{text}\n\nWhat does this person want: {labels}?"),
        Task(
            "natural_language_inference",
            "classify",
            labels=("entailment", "neutral", "contradiction"),
            template="{text}\n\nHow does this follow from it: {text_pair}\n{labels}?",
        ),
        Task(
            "named_entity_recognition",
            "tag",
            labels=("person", "location", "organization", "miscellaneous"),
            label_values={"PER": "person", "LOC": "location", "ORG": "organization", "MISC": "miscellaneous"},
            is_numbered=False,  # sets number tags, B- and I- apart
        ),
    )
}
"""Those without labels need some, from the settings or from whoever asks: they differ from user to user."""
