"""The page /docs, as a browser with no way to other hosts sees it."""

import json
import re
from pathlib import Path

from tests.daemon.workers.server.harness import Server, StartServer, server_settings


def test_the_openapi_page_describes_the_bodies(steady: Server) -> None:
    with steady.http() as client:
        described = client.get("/openapi.json").json()
    posts = {path: each["post"] for path, each in described["paths"].items() if "post" in each}
    contents = {
        path: each["requestBody"]["content"]
        for path, each in posts.items()
        if "requestBody" in each and not path.startswith("/v1/work")
    }
    assert {path for path, each in contents.items() if "multipart/form-data" in each} == {"/v1/files"}
    bodies = {path: each["application/json"]["schema"] for path, each in contents.items() if "application/json" in each}
    assert {path for path in bodies if path.startswith("/v1")} == {
        *("/v1/completions", "/v1/chat/completions", "/v1/embeddings", "/v1/score", "/v1/feedback"),
        *("/v1/responses", "/v1/messages", "/v1/messages/count_tokens", "/v1/fine_tuning/jobs"),
    }
    assert all(schema["properties"] for schema in bodies.values())
    assert "$ref" not in json.dumps(bodies)
    message = bodies["/v1/chat/completions"]["properties"]["messages"]["items"]
    assert "assistant" in message["properties"]["role"]["enum"]
    assert {"get", "delete"} == described["paths"]["/v1/sessions/{name}"].keys()


def test_the_page_loads_nothing_from_elsewhere_and_needs_no_key(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("key\n")
    server = start_server(settings=server_settings(api={"keys_file": str(tmp_path / "keys")}))
    with server.http() as client:
        page = client.get("/docs")
        assert page.status_code == 200
        needed = re.findall(r"(?:src|href)=\"([^\"]+)\"|url: '([^']+)'", page.text)
        paths = [first or second for first, second in needed]
        assert len(paths) == 4, "script, style, icon, description"
        for path in paths:
            assert path.startswith("/")
            assert client.get(path).status_code == 200, path
        assert "SwaggerUIBundle" in client.get(next(path for path in paths if path.endswith(".js"))).text
        for path in ("/v1/models", "/docs-scripts/../v1/models", "/docs-scriptsv1/models", "/docs/v1/models"):
            assert client.get(path).status_code == 401, path
        assert client.get("/docs-scripts/%2e%2e/%2e%2e/__init__.py").status_code in {401, 404}


def test_a_key_can_be_typed_in_where_one_is_asked_for(steady: Server) -> None:
    with steady.http() as client:
        described = client.get("/openapi.json").json()
    ((name, scheme),) = described["components"]["securitySchemes"].items()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    guarded = {path for path, each in described["paths"].items() for verb in each.values() if verb.get("security")}
    assert guarded == described["paths"].keys() - {"/healthz", "/health", "/ping", "/version", "/readyz", "/metrics"}
    assert described["paths"]["/v1/completions"]["post"]["security"] == [{name: []}]
