"""A hub of Hugging Face on this machine, as much of it as an upload or a download needs."""

import base64
import contextlib
import hashlib
import http.server
import json
import threading

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
        repository, _, place = self.path.removeprefix("/api/models").strip("/").partition("/tree/")
        if place and repository in self.server.models:
            files = self.server.models[repository]
            self._answer(
                200, [{"type": "file", "path": name, "size": len(files[name]), "oid": "0" * 40} for name in files]
            )
        else:
            self._send_file()

    def do_HEAD(self):
        self._send_file()

    def _send_file(self):
        repository, _, place = self.path.strip("/").partition("/resolve/")
        content = self.server.models.get(repository, {}).get(place.partition("/")[2])
        if content is None:
            self._answer(
                404, {}, {"X-Error-Code": "EntryNotFound" if repository in self.server.models else "RepoNotFound"}
            )
            return
        digest = hashlib.sha256(content).hexdigest()
        self._answer(200, content, {"ETag": f'"{digest}"', "X-Repo-Commit": "a" * 40})

    def _answer(self, status, body, headers=()):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name in headers:
            self.send_header(name, headers[name])
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def local_hub():
    """One that notes what it is given: ``keys``, ``created``, ``messages``, ``files``; its ``address`` for clients.

    What ``models`` has (files of each ``owner/name``) can be fetched.
    """
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.address = f"http://127.0.0.1:{server.server_port}"
    server.models = {}
    server.keys, server.created, server.messages, server.files = set(), [], [], {}
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
