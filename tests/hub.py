"""A hub of Hugging Face on this machine, as much of it as an upload or a download needs."""

import base64
import contextlib
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from types import MappingProxyType

REFUSED = "owner/refused"
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Hub(http.server.ThreadingHTTPServer):
    """What it was given, and what can be fetched from it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.models: dict[str, dict[str, bytes]] = {}
        self.keys: set[str | None] = set()
        self.created: list[dict[str, object]] = []
        self.messages: list[str] = []
        self.files: dict[str, bytes] = {}


class _Handler(http.server.BaseHTTPRequestHandler):
    @property
    def hub(self) -> Hub:
        assert isinstance(self.server, Hub)
        return self.server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        hub = self.hub
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

    def do_GET(self) -> None:
        repository, _, place = self.path.removeprefix("/api/models").strip("/").partition("/tree/")
        if place and repository in self.hub.models:
            files = self.hub.models[repository]
            self._answer(
                200, [{"type": "file", "path": name, "size": len(files[name]), "oid": "0" * 40} for name in files]
            )
        else:
            self._send_file()

    def do_HEAD(self) -> None:
        self._send_file()

    def _send_file(self) -> None:
        repository, _, place = self.path.strip("/").partition("/resolve/")
        content = self.hub.models.get(repository, {}).get(place.partition("/")[2])
        if content is None:
            self._answer(
                404, {}, {"X-Error-Code": "EntryNotFound" if repository in self.hub.models else "RepoNotFound"}
            )
            return
        digest = hashlib.sha256(content).hexdigest()
        self._answer(200, content, {"ETag": f'"{digest}"', "X-Repo-Commit": "a" * 40})

    def _answer(self, status: int, body: object, headers: Mapping[str, str] = NO_HEADERS) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def local_hub() -> Iterator[Hub]:
    """One that notes what it is given: ``keys``, ``created``, ``messages``, ``files``; its ``address`` for clients.

    What ``models`` has (files of each ``owner/name``) can be fetched.
    """
    server = Hub()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
