"""Upload to a hub: huggingface_hub itself, against a local server that speaks what it needs of the protocol."""

import base64
import http.server
import json
import os
import subprocess
import sys
import threading

import pytest

REFUSED = "owner/refused"


class Hub(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        hub = self.server
        hub.keys.add(self.headers.get("Authorization"))
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            hub.created.append(asked)
            if asked["name"] == REFUSED.split("/")[1]:
                self._answer(403, {"error": "you may not write here"})
            else:
                self._answer(200, {"url": f"{hub.address}/{asked['organization']}/{asked['name']}", "id": "x"})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            self._answer(
                200, {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]}
            )
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "header":
                    hub.messages.append(line["value"]["summary"])
                else:
                    hub.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self._answer(200, {"commitUrl": f"{hub.address}/owner/model/commit/1", "commitOid": "1", "hookOutput": ""})
        else:
            self._answer(404, {})

    def do_GET(self):
        self._answer(404, {})

    def _answer(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.address = f"http://127.0.0.1:{server.server_port}"
    server.keys, server.created, server.messages, server.files = set(), [], [], {}
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "model"
    made.mkdir()
    (made / "config.json").write_text('{"model_type": "llama"}')
    (made / "model.safetensors").write_bytes(bytes(range(256)) * 40)
    return made


def push(hub, tmp_path, *words):
    environment = {**os.environ, "HF_ENDPOINT": hub.address, "HF_TOKEN": "hf_secret", "HF_HOME": str(tmp_path / "hf")}
    command = [sys.executable, "-m", "engine.huggingface.pushing", *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_every_file_arrives_in_one_commit(hub, folder, tmp_path):
    done = push(hub, tmp_path, folder, "owner/model", "thord 000012", "--private")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{hub.address}/owner/model"
    assert hub.files == {file.name: file.read_bytes() for file in folder.iterdir()}
    assert hub.messages == ["thord 000012"]
    assert hub.keys == {"Bearer hf_secret"}
    created = hub.created[0]
    assert created.get("private") is True or created.get("visibility") == "private"


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "no-address"])
def test_a_hub_that_cannot_be_reached_is_one_clear_sentence(address, hub, folder, tmp_path):
    hub.address = address
    done = push(hub, tmp_path, folder, "owner/model", "m")
    assert done.returncode == 1
    assert done.stderr.startswith(f"the hub at {address} did not take owner/model: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("repository", "said"), [(REFUSED, "did not take owner/refused"), ("a/b/c", "a/b/c")])
def test_a_refusal_is_one_clear_sentence_without_the_key(repository, said, hub, folder, tmp_path):
    done = push(hub, tmp_path, folder, repository, "m")
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "hf_secret" not in done.stderr
    assert hub.files == {}
