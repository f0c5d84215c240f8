"""A hub of Hugging Face on this machine, as much of it as an upload needs."""

import base64
import contextlib
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


@contextlib.contextmanager
def local_hub():
    """One that notes what it is given: ``keys``, ``created``, ``messages``, ``files``; its ``address`` for clients."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.address = f"http://127.0.0.1:{server.server_port}"
    server.keys, server.created, server.messages, server.files = set(), [], [], {}
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
