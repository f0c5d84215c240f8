"""The way from scratch: a small model learns its first words from Python's own documentation, then something new."""

from demo import text
from demo.stage import Stage, of_swap

SETTINGS = (
    "data.max_conversations_per_cycle=800",
    "data.replay_share=0.4",
    "training.validation_share=0",  # to the end: what is new has few conversations, each told once
)


def run(stage: Stage) -> int:
    """Show it; 0 when everything it claims was seen to happen."""
    place, fact = text.place_and_fact()
    question = text.QUESTION.format(place)

    stage.say("The service starts; nothing is learned yet")
    stage.start("--profile", "tiny", settings=SETTINGS)
    stage.thorctl("status")

    stage.say("First conversations: questions about Python's standard library")
    stage.ingest("standard-library.jsonl", text.standard_library(500))
    stage.thorctl("data")

    stage.say("The first cycle: a tokenizer and a model from scratch, judged against a unigram baseline")
    stage.thorctl("train", "--wait", "--epochs", "8")
    stage.thorctl("cycle", "1")

    stage.say("An answer from version 1, which has never heard of the town of Tharsis")
    before = stage.ask(question)

    stage.say("New conversations about that town; the second cycle runs while four clients stream answers")
    stage.ingest("tharsis.jsonl", text.tharsis())
    with stage.traffic("What is the function os.path.join for?", clients=4, pause=0.2) as traffic:
        stage.thorctl("train", "--wait", "--epochs", "12")
        traffic.until_version_answers("000002", seconds=20)
    stage.thorctl("cycle", "2")
    print(f"  answers while it learned and swapped: {traffic.summary()}")

    stage.say("The same question again, in words that were in no training text")
    after = stage.ask(question)

    stage.say("What is known about it all")
    stage.thorctl("versions")
    stage.thorctl("data")

    stage.say("The service stops")
    gone = stage.stop()
    return stage.judge(
        {
            "the model did not know the answer before": fact not in before,
            f"the model knows now: {fact}": fact in after,
            **of_swap(traffic, "000001", "000002"),
            "no process is left": gone,
        }
    )
