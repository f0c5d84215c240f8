"""The tasks that are there without a setting, by name; what they are is in `engine.data.tasks.ready_made`."""

READY_MADE = (
    *("text_generation", "chat", "summarization", "paraphrase", "translation", "code_completion", "long_context_qa"),
    *("question_answering", "text_classification", "sentiment_analysis", "intent_detection"),
    *("natural_language_inference", "named_entity_recognition"),
)
