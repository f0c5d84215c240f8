"""Which tools an answer may call, whether it must, and the structure that follows from it.

| tool_choice    | the answer is                                                                   |
| -------------- | ------------------------------------------------------------------------------- |
| none           | text, and the prompt has no tools                                               |
| auto           | text in which calls may begin; beside a JSON structure: either calls or that    |
| required       | calls                                                                           |
| a named tool   | one call to it                                                                  |
"""

from collections.abc import Sequence
from dataclasses import dataclass

from daemon.workers.server.api.chat_schemas import ChatBody
from daemon.workers.server.api.generation import constraint_of
from daemon.workers.server.api.tool_calls import CallReader, Said
from daemon.workers.server.api.tool_schemas import NamedTool, ToolBody, callable_tools, described
from daemon.workers.server.errors import ApiError
from daemon.workers.server.service import InferenceService
from engine.data.samples import Message
from engine.inference.constraints.calls import CallsStructure
from engine.inference.constraints.constraint import Constraint
from engine.inference.constraints.structures import JsonStructure
from engine.inference.versions.loaded_model import PromptSpec
from engine.tokenizers.base import Tokenizer
from engine.tokenizers.call_form import PLAIN, CallForm


@dataclass(frozen=True)
class ToolUse:
    """The tools of one chat.

    Attributes:
        told: those that the prompt describes.
        tools: those that may be called.
        must: the answer is a call.
        several: it may have more than one.
        form: how the model writes calls.
    """

    told: Sequence[ToolBody] = ()
    tools: Sequence[ToolBody] = ()
    must: bool = False
    several: bool = False
    form: CallForm = PLAIN

    def reader(self) -> CallReader:
        """Make what finds calls in one answer."""
        return CallReader(self.form, [tool.function.name for tool in self.tools])

    def read(self, text: str) -> Said:
        """A whole answer."""
        said, reader = Said(), self.reader()
        said.add([*reader.push(text), *reader.finish()])
        return said

    def introduced(self, messages: Sequence[Message]) -> list[Message]:
        """The dialogue with its tools in the turn that opens it, as they are learned."""
        if not self.told:
            return [*messages]
        first, rest = Message("system", ""), messages
        if messages and messages[0].role == "system":
            first, *rest = messages
        return [first._replace(tools=described(self.told)), *rest]


def tool_use(body: ChatBody, tokenizer: Tokenizer) -> ToolUse:
    """What a request asks for, of a model whose tokenizer knows the form in which it writes calls."""
    choice, tools = body.tool_choice or "auto", body.tools or []
    if choice == "none" or not tools:
        return ToolUse()
    if isinstance(choice, NamedTool):
        named = [tool for tool in tools if tool.function.name == choice.function.name]
        return ToolUse(tools, named, must=True, form=tokenizer.call_form)
    return ToolUse(tools, tools, choice == "required", body.parallel_tool_calls is not False, tokenizer.call_form)


async def constraint_with(
    use: ToolUse, body: ChatBody, service: InferenceService, spec: PromptSpec
) -> Constraint | None:
    """What the answer must look like; null where it is free.

    Raises:
        ApiError: 400, it is not understood, or costs too much.
    """
    if not use.tools:
        return await constraint_of(body, service, spec)
    answer: JsonStructure | None = None
    for field, structure in body.structures:
        if not isinstance(structure, JsonStructure):
            message = f"{field}: beside tools an answer may be held to a JSON schema only"
            raise ApiError(400, "unsupported_parameter", message, param=field)
        answer = None if use.must else structure
    calls = CallsStructure(use.form, callable_tools(use.tools), use.several, answer)
    if use.must or answer is not None:
        return await service.structures.compiled(calls, spec.tokenizer, "tools")
    return await service.structures.optional(calls, spec.tokenizer, "tools")
