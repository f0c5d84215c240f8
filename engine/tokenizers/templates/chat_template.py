"""thord's own chat template: ``<|bos|>``, then for each turn ``<|role|> content <|end|>``.

`engine.tokenizers.builtin` writes it in ids, where no text can spell a special token; here it is in Jinja, for others.
"""

from engine.data.samples import Role
from engine.tokenizers.base import ASSISTANT, BOS, END, SYSTEM, TOOL, USER

ROLE_TOKENS: dict[Role, str] = {"system": SYSTEM, "user": USER, "assistant": ASSISTANT, "tool": TOOL}

_CONTENT = (
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] or [] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}"
    "{% else %}{{ raise_exception('content may be text only, not ' + part['type']) }}{% endif %}"
    "{% endfor %}{% endif %}"
)
_CALLS = (
    "{% for call in message['tool_calls'] or [] %}{% set wanted = call['function'] %}"
    "{% if message['content'] or not loop.first %}{{ '\\n' }}{% endif %}"
    """{{ '{"name": ' + wanted['name'] | tojson + ', "arguments": ' }}"""
    "{% if wanted['arguments'] is string %}{{ wanted['arguments'] }}{% else %}"
    "{{ wanted['arguments'] | tojson }}{% endif %}"
    "{{ '}' }}{% endfor %}"
)
_TOOLS = f"{{% if tools %}}{{{{ '{SYSTEM}Tools:\\n' }}}}{{{{ tools | tojson }}}}{{{{ '{END}' }}}}{{% endif %}}"
CHAT_TEMPLATE = (
    f"{{{{ '{BOS}' }}}}{_TOOLS}{{% for message in messages %}}"
    "{% if message['role'] == 'developer' %}{{ '<|system|>' }}{% elif message['role'] == 'function' %}{{ '<|tool|>' }}"
    "{% else %}{{ '<|' + message['role'] + '|>' }}{% endif %}"
    f"{_CONTENT}{_CALLS}{{{{ '{END}' }}}}{{% endfor %}}"
    f"{{% if add_generation_prompt %}}{{{{ '{ASSISTANT}' }}}}{{% endif %}}"
)
"""The form of every dialogue, in Jinja.

Content may be a list of parts. Tools and calls are written as they are learned: the tools as JSON in a system turn of
their own, each call as JSON on a line of its own, after the content.
"""
