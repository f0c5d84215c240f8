"""``instructor``, in each of its modes that asks for a structure."""

import os
from typing import Annotated, Literal

import instructor
import openai
import pydantic

ASKED = [{"role": "user", "content": "What is the capital of France?"}]
client = openai.OpenAI(base_url=os.environ["THORD_URL"], api_key="none", timeout=300)


class City(pydantic.BaseModel):
    """A city."""

    name: Annotated[str, pydantic.Field(max_length=30)]
    continent: Literal["Africa", "America", "Asia", "Europe"]


for mode in (instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA):
    patched = instructor.from_openai(client, mode=mode)
    found = patched.chat.completions.create(
        model="thor", messages=ASKED, response_model=City, temperature=0, max_retries=0
    )
    print(mode, found)
    assert isinstance(found, City)
