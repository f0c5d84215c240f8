"""A data bank on this machine, as much of it as uploads and corpora need."""

import contextlib
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from email.parser import BytesParser
from email.policy import HTTP


class Bank(http.server.ThreadingHTTPServer):
    """Files by id; ``spoil`` changes the bytes that it gives back, ``key`` is the one it asks for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/data-bank"
        self.files: dict[str, bytes] = {}
        self.key: str | None = None
        self.spoil = False


class _Handler(http.server.BaseHTTPRequestHandler):
    @property
    def bank(self) -> Bank:
        assert isinstance(self.server, Bank)
        return self.server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._is_allowed():
            return
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        (part,) = BytesParser(policy=HTTP).parsebytes(head + body).iter_parts()
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        file_id = hashlib.sha256(content).hexdigest()
        self.bank.files[file_id] = content
        self._answer(201, self._described(file_id))

    def do_GET(self) -> None:
        if not self._is_allowed():
            return
        _, bank, files, file_id, *info = self.path.split("/")
        assert (bank, files) == ("data-bank", "files")
        content = self.bank.files.get(file_id)
        if content is None:
            self._answer(404, {"error": "no such file"})
        elif info:
            self._answer(200, self._described(file_id))
        else:
            self._send(200, content[:-1] + b"!" if self.bank.spoil else content)

    def _described(self, file_id: str) -> dict[str, object]:
        return {"file_id": file_id, "size": len(self.bank.files[file_id]), "sha256": file_id}

    def _is_allowed(self) -> bool:
        allowed = self.bank.key is None or self.headers.get("X-Api-Key") == self.bank.key
        if not allowed:
            self._answer(401, {"error": "a key is needed"})
        return allowed

    def _answer(self, status: int, said: dict[str, object]) -> None:
        self._send(status, json.dumps(said).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving() -> Iterator[Bank]:
    bank = Bank()
    thread = threading.Thread(target=bank.serve_forever, daemon=True)
    thread.start()
    try:
        yield bank
    finally:
        bank.shutdown()
        bank.server_close()
