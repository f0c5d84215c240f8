"""``pydantic-ai``: an agent with a tool, and answers of a type."""

import os
from typing import Annotated, Literal

import pydantic
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

provider = OpenAIProvider(base_url=os.environ["THORD_URL"], api_key="none")
models = [OpenAIChatModel("thor", provider=provider), OpenAIResponsesModel("thor", provider=provider)]
settings = {"temperature": 0.0, "parallel_tool_calls": False}


class City(pydantic.BaseModel):
    """A city."""

    name: Annotated[str, pydantic.Field(max_length=30)]
    continent: Literal["Africa", "America", "Asia", "Europe"]


for model in models:
    for output in (City, NativeOutput(City)):
        agent = Agent(model, output_type=output)
        found = agent.run_sync("What is the capital of France?", model_settings=settings).output
        print(found)
        assert isinstance(found, City)
