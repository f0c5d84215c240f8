"""Talks among people: exports of messengers, and mail. Who is the assistant is said by ``[data.speakers]``.

A messenger is a module with a `FORMAT`, which says how a file is recognised and who said what in it; what becomes of
that is the same for all of them (`engine.data.readers.messengers.talks`).
"""
