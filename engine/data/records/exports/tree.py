"""Conversations that are trees: each message names its parent, and one branch is the conversation."""

from collections.abc import Mapping

from pydantic import JsonValue

from engine.data.records.limits import FormatError
from engine.data.records.values import Record, is_record


def branch(nodes: Mapping[str, JsonValue], last: JsonValue, *, parent: str) -> list[Record]:
    """The nodes from the root to the node with id ``last``; where none is named, to the newest leaf.

    Raises:
        FormatError: a node is its own ancestor.
    """
    found: list[Record] = []
    seen: set[str] = set()
    name: JsonValue = last if isinstance(last, str) and last in nodes else _newest_leaf(nodes, parent)
    while isinstance(name, str) and is_record(node := nodes.get(name)):
        if name in seen:
            raise FormatError(f"message {name!r} is its own ancestor: the turns cannot be put in order")
        seen.add(name)
        found.append(node)
        name = node.get(parent)
    return found[::-1]


def _newest_leaf(nodes: Mapping[str, JsonValue], parent: str) -> str | None:
    """The last node, in the order of the file, that is nobody's parent."""
    parents = {node.get(parent) for node in nodes.values() if is_record(node) and isinstance(node.get(parent), str)}
    return next((name for name in reversed(list(nodes)) if name not in parents), None)
