"""The main job: a model that talks at once learns something new, and keeps what it knew."""

from demo import text
from demo.stage import Stage, of_swap

GENERAL = "What is the capital of France?", "Paris"


def run(stage: Stage) -> int:
    """Show it on the starter that serves; 0 when everything it claims was seen to happen."""
    general, right = GENERAL
    place, fact = text.place_and_fact()
    question = text.QUESTION.format(place)
    stage.thorctl("status")

    stage.say("It answers before anything was learned here, but has never heard of the town of Tharsis")
    first = stage.ask(general)
    before = stage.ask(question)

    stage.say("Conversations about that town; a cycle learns them while two clients stream answers")
    stage.ingest("tharsis.jsonl", text.tharsis()[: text.FEW])
    with stage.traffic("What is the capital of Japan?", clients=2, pause=4.0) as traffic:
        stage.thorctl("train", "--wait")
        traffic.until_version_answers("000002", seconds=30)
    stage.thorctl("cycle", "1")
    print(f"  answers while it learned and swapped: {traffic.summary()}")

    stage.say("Both questions again; the one about the town is in words that were in no training text")
    after = stage.ask(question)
    again = stage.ask(general)

    stage.say("What is known about it all")
    stage.thorctl("versions")
    stage.thorctl("data")

    stage.say("The service stops")
    gone = stage.stop()
    return stage.judge(
        {
            f"a right answer before anything was learned: {right}": right in first,
            "the model did not know about the town": fact not in before,
            f"the model knows now: {fact}": fact in after,
            f"the first answer is still right: {right}": right in again,
            **of_swap(traffic, "000001", "000002"),
            "no process is left": gone,
        }
    )
