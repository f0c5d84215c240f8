"""A conversation with tools from its file to the tokens of a batch: nothing of the calls is lost on the way."""

import io
import json
from pathlib import Path

from engine.config.tokenizer import TokenizerSettings
from engine.data import shard, snapshot
from engine.data.batches import Rows
from engine.data.readers.items import Found
from engine.data.readers.read import read_known
from engine.data.records.limits import Limits
from engine.data.samples import Dialogue
from engine.data.snapshot import Example
from engine.tokenizers import encode
from engine.tokenizers.train import train

CALL = {"id": "c1", "type": "function", "function": {"name": "tide", "arguments": '{"at": "Skaw", "days": 2}'}}
RECORD = {
    "messages": [
        {"role": "user", "content": "Tide?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "1.2"},
        {"role": "assistant", "content": "1.2 m."},
    ],
    "tools": [{"type": "function", "function": {"name": "tide", "parameters": {}}}],
}


def test_tools_reach_the_batch_and_the_call_is_learned(tmp_path: Path) -> None:
    (item,) = read_known(io.BytesIO(json.dumps(RECORD).encode()), Limits())
    assert isinstance(item, Found)
    example = Example(item.sample, item.sample.identity, "new", source="file:1")
    snapshot.write(tmp_path / "snapshot", iter([example]), iter([]))
    (stored,) = snapshot.train_examples(tmp_path / "snapshot")
    assert stored.sample == item.sample
    assert isinstance(stored.sample, Dialogue)
    tokenizer = train(TokenizerSettings(kind="bytes"), [])
    documents = encode.encode_conversations(tokenizer, [(stored.sample, 0)])
    (batch,) = Rows(shard.write(tmp_path / "shard", documents), 512).in_order(1)
    text = tokenizer.decode(batch.tokens_BT[0].tolist())
    assert '"name": "tide", "parameters": {}' in text
    learned = batch.targets_BT[batch.supervised_BT].tolist()
    assert tokenizer.decode(learned) == '{"name": "tide", "arguments": {"at": "Skaw", "days": 2}}1.2 m.'
