"""Tables as text: a line that tells Excel the delimiter is not their heading."""


def test_the_heading_of_a_known_table_is_below_the_line_for_excel(read_bytes) -> None:
    (found,), refused = read_bytes(b"sep=;\nprompt;completion\nHow deep?;Two, at the pier.\n")
    assert ([message.content for message in found.messages], refused) == (["How deep?", "Two, at the pier."], [])


def test_a_table_of_other_columns_is_refused_with_those_below_the_line_for_excel(read_bytes) -> None:
    found, (refused,) = read_bytes(b"sep=;\nFrage;Antwort;Nr\nWie tief?;Zwei Faden.;1\nWo?;Am Steg.;2\n")
    assert found == []
    assert "its columns are Frage, Antwort, Nr" in refused.reason
    assert 'user = ["Frage"] and assistant = ["Antwort"]' in refused.reason


def test_texts_that_customers_and_desks_write_to_each_other_are_no_plain_text(read_bytes) -> None:
    found, refused = read_bytes(b"tweet_id,author_id,inbound,text\n1,115712,True,Help!\n2,desk,False,Sure.\n")
    assert found == []
    assert all("does not say whether the assistant speaks" in each.reason for each in refused)


def test_blank_lines_above_the_heading_do_not_count(read_bytes) -> None:
    (found,), refused = read_bytes(b"\n\nrole,content\nuser,How deep?\nassistant,Two fathoms.\n")
    assert ([message.content for message in found.messages], refused) == (["How deep?", "Two fathoms."], [])
