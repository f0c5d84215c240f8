"""Runs unmodified clients against a real thord that serves the starter model: ``make clients``.

Each client is installed in its pinned version in a folder of its own, below ``--work``, where it is kept, and runs its
program beside this file. Prints one line a client; the exit status is 1 where one failed.

    python tests/clients/run.py [--work DIR] [--from FILE.gguf] [NAME...]
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
SECONDS = 900
KEY = "a-key-that-may-train"


@dataclass(frozen=True)
class Client:
    """One program and what it needs: packages of PyPI, or of npm where it ends in ``.mjs``; a key that may train."""

    program: str
    packages: tuple[str, ...]
    trains: bool = False


CLIENTS = {
    "openai (Python)": Client("openai_python.py", ("openai==2.54.0",)),
    "openai (Responses)": Client("openai_responses_python.py", ("openai==2.54.0",)),
    "openai (fine-tuning)": Client("openai_fine_tuning_python.py", ("openai==2.54.0",), trains=True),
    "openai (Node)": Client("openai_node.mjs", ("openai@6.49.0",)),
    "AI SDK": Client("ai_sdk.mjs", ("ai@6.0.326", "@ai-sdk/openai-compatible@2.0.92")),
    "AI SDK (OpenAI)": Client("ai_sdk_openai.mjs", ("@ai-sdk/openai@3.0.141", "ai@6.0.326")),
    "LangChain (Python)": Client("langchain_python.py", ("langchain-openai==1.7.4",)),
    "LangChain (Node)": Client("langchain_node.mjs", ("@langchain/openai@1.5.8", "@langchain/core")),
    "instructor": Client("instructor_python.py", ("instructor==1.17.0",)),
    "pydantic-ai": Client("pydantic_ai_python.py", ("pydantic-ai-slim[openai]==2.31.1",)),
    "LlamaIndex": Client("llama_index_python.py", ("llama-index-llms-openai-like==0.8.1",)),
    "LiteLLM": Client("litellm_python.py", ("litellm==1.110.2",)),
    "llm": Client("llm_command.sh", ("llm==0.32.1",)),
    "anthropic": Client("anthropic_python.py", ("anthropic==2.14.0",)),
    "ollama": Client("ollama_python.py", ("ollama==0.6.3",)),
    "LangChain (Ollama)": Client("langchain_ollama_python.py", ("langchain-ollama==1.1.0",)),
    "aider": Client("aider_command.sh", ("aider-chat==0.86.2",)),
    "GuideLLM": Client("guidellm_command.sh", ("guidellm==0.8.1",)),
}


def main() -> int:
    """Run those that are named, else all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(CLIENTS)}")
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "thord-clients", metavar="DIR")
    parser.add_argument("--from", dest="source", metavar="FILE", help="the starter's GGUF file, instead of fetching it")
    options = parser.parse_args()
    if unknown := set(options.names) - CLIENTS.keys():
        parser.error(f"no such client: {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that thord is ended too
    names = options.names or list(CLIENTS)
    failed = 0
    for trains in sorted({CLIENTS[name].trains for name in names}):
        failed += run_all([name for name in names if CLIENTS[name].trains == trains], trains, options)
    return failed > 0


def run_all(names: list[str], trains: bool, options: argparse.Namespace) -> int:
    """Run those that one thord is enough for. How many failed."""
    failed = 0
    with serving(options.source, KEY if trains else None) as environment:
        for name in names:
            began = time.monotonic()
            trouble = run(CLIENTS[name], options.work, environment)
            failed += trouble is not None
            said = "ok" if trouble is None else f"FAILED\n{trouble}"
            took = time.monotonic() - began
            print(f"{name:<22}{' '.join(CLIENTS[name].packages):<48}{took:5.0f} s  {said}", flush=True)
    return failed


@contextmanager
def serving(source: str | None, key: str | None) -> Iterator[dict[str, str]]:
    """A thord in a home of its own that serves the starter; what clients must know of it, as environment.

    With ``key`` it answers to that alone, which may do everything.
    """
    with tempfile.TemporaryDirectory() as folder:
        home, tokenizer = Path(folder) / "home", Path(folder) / "exported"
        settings = ["--set", "api.port=0", "--set", "schedule.enabled=false"]
        if key is not None:
            keys = Path(folder) / "keys"
            keys.write_text(f"{key}:admin\n")
            settings += ["--set", f'api.keys_file="{keys}"']
        daemon = subprocess.Popen([BIN / "thord", "--home", home, *settings])
        try:
            ctl = [BIN / "thorctl", "--home", str(home)]
            while subprocess.run([*ctl, "status"], capture_output=True, check=False).returncode:
                if daemon.poll() is not None:
                    sys.exit("thord did not start")
                time.sleep(0.5)
            given = ["--from", source] if source else []
            subprocess.run([*ctl, "import", "starter", "--promote", *given], check=True)
            subprocess.run([*ctl, "export", "hf", str(tokenizer)], check=True)
            listed = subprocess.run([*ctl, "status", "--json"], capture_output=True, text=True, check=True).stdout
            url = json.loads(listed)["api"]["url"]
            yield {"THORD_URL": f"{url}/v1", "THORD_TOKENIZER": str(tokenizer), "THORD_KEY": key or "none"}
        finally:
            daemon.terminate()
            daemon.wait()


def run(client: Client, work: Path, environment: dict[str, str]) -> str | None:
    """Run one. What it said at its end, where it failed."""
    node = client.program.endswith(".mjs")
    folder = work / client.packages[0].replace("/", "+")
    folder.mkdir(parents=True, exist_ok=True)
    (install_npm if node else install_pip)(client, folder)
    program = folder / client.program
    shutil.copy(HERE / client.program, program)
    python = folder / "venv" / "bin"
    runner = {"py": str(python / "python"), "mjs": "node", "sh": "bash"}[client.program.rpartition(".")[2]]
    path = {"PATH": f"{python}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["timeout", str(SECONDS), runner, program],
        cwd=folder,
        env={**os.environ, **environment, **path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return None if done.returncode == 0 else "\n".join(done.stdout.splitlines()[-15:]) or f"status {done.returncode}"


def install_pip(client: Client, folder: Path) -> None:
    """Into a virtual environment, once."""
    if (folder / "installed").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    pip = [folder / "venv" / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *client.packages], check=True)
    (folder / "installed").touch()


def install_npm(client: Client, folder: Path) -> None:
    """Into a folder of modules, once."""
    if (folder / "installed").exists():
        return
    (folder / "package.json").write_text('{"private": true}\n')
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent", *client.packages], cwd=folder, check=True)
    (folder / "installed").touch()


if __name__ == "__main__":
    sys.exit(main())
