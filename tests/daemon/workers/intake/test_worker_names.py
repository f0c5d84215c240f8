"""Who the assistant is in a talk among people is applied at a reload; what was refused is then read again."""

from daemon.settings.sections import Tables

CHAT = "1/1/24, 10:00 - Ada: how deep?\n1/1/24, 10:01 - Bo: two fathoms\n"


def test_refused_talks_are_read_once_the_assistant_is_named(intake):
    (intake.inbox / "chats" / "chat.txt").write_text(CHAT)
    intake.scan()
    assert intake.counts() == {"quarantined": 1}
    assert 'assistant = ["Bo"]' in intake.refusals()["chat.txt"]
    settings = intake.settings.model_dump(exclude_unset=True)
    settings["data"] |= {"speakers": {"assistant": ("Bo",)}}
    intake.worker.reload(Tables.model_validate(settings))
    assert intake.scan(retry_quarantine=True).added == 1
    assert intake.refusals() == {}
