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


def test_a_cell_that_is_cut_off_is_not_learned(read_bytes) -> None:
    (found,), (refused,) = read_bytes(b'prompt,completion\nHow deep?,"Two, say."\nHow wide?,"Nine met')
    assert [message.content for message in found.messages] == ["How deep?", "Two, say."]
    assert (refused.line, "inside a cell whose quote is not closed" in refused.reason) == (3, True)


def test_a_table_of_one_column_is_read(read_bytes) -> None:
    cells = '[{""role"": ""user"", ""content"": ""How deep?""}, {""role"": ""assistant"", ""content"": ""Two.""}]'
    (listed,), _ = read_bytes(f'messages\n"{cells}"\n'.encode())
    written = "<|im_start|>user\nHow deep?<|im_end|>\n<|im_start|>assistant\nTwo.<|im_end|>"
    (in_template,), _ = read_bytes(f'text\n"{written}"\n'.encode())
    assert listed == in_template
    assert [message.content for message in listed.messages] == ["How deep?", "Two."]


def test_parts_of_a_message_in_a_cell_are_what_they_say(read_bytes) -> None:
    cell = '"[{""type"": ""text"", ""text"": ""%s""}]"'
    table = "role,content\nuser," + cell % "How deep?" + "\nassistant," + cell % "Two." + "\n"
    (found,), refused = read_bytes(table.encode())
    assert ([message.content for message in found.messages], refused) == (["How deep?", "Two."], [])


def test_blank_lines_behind_every_row_part_nothing(read_bytes) -> None:
    (found,), refused = read_bytes(b"role,content\n\nuser,How deep?\n\nassistant,Two fathoms.\n")
    assert ([message.content for message in found.messages], refused) == (["How deep?", "Two fathoms."], [])
