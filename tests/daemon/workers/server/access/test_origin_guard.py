"""Whoever comes with a foreign name, or from a foreign page, is refused on every route; any base URL leads in."""

import openai
import pytest

from daemon.messages import ServiceHealth
from tests.daemon.workers.server.api.test_app_openai import wait_until
from tests.daemon.workers.server.harness import Server, server_settings

CHAT = "/v1/chat/completions"
ASKED = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 2}
ROUTES = ("/healthz", "/readyz", "/metrics", "/v1/models", "/docs", "/openapi.json", "/nothing", CHAT)
FOREIGN = {"origin": "https://evil.example"}


def test_a_foreign_host_is_misdirected_on_every_route(steady: Server) -> None:
    with steady.http() as client:
        for path in ROUTES:
            for method in ("GET", "POST", "OPTIONS", "HEAD"):
                answer = client.request(method, path, headers={"host": "evil.example:8000"})
                assert answer.status_code == 421, (method, path)
        assert "api.hosts" in client.get("/healthz", headers={"host": "evil.example"}).json()["error"]["message"]
        for host in ("localhost", "LOCALHOST:1234", "127.0.0.1"):
            assert client.get("/healthz", headers={"host": host}).status_code == 200
    with steady.local() as client:
        assert client.get("/healthz", headers={"host": "evil.example"}).status_code == 200, "no browser comes so"


def test_a_foreign_origin_of_an_old_browser_is_refused_on_every_route(steady: Server) -> None:
    with steady.http() as client:
        for path in ROUTES:
            for origin in ("https://evil.example", "null", "http://localhost:3000", "http://[x"):
                for method in ("GET", "POST"):
                    answer = client.request(method, path, headers={"origin": origin})
                    assert answer.status_code == 403, (method, path, origin)
                    assert "api.allow_origins" in answer.json()["error"]["message"]
        assert client.post(CHAT, json=ASKED, headers={"origin": steady.url}).status_code == 200
        assert client.get("/v1/models", headers={**FOREIGN, "sec-fetch-site": "cross-site"}).status_code == 200


def test_a_refused_preflight_names_the_setting(steady: Server) -> None:
    wish = {**FOREIGN, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    with steady.http() as client:
        for more in ({}, {"sec-fetch-site": "cross-site"}):
            answer = client.options(CHAT, headers={**wish, **more})
            assert answer.status_code == 403
            assert "api.allow_origins" in answer.json()["error"]["message"]


def test_names_given_in_the_settings_lead_here(steady: Server) -> None:
    api = {"hosts": ("thord.example.org",), "aliases": ("gpt-4o-mini",)}
    page = {"host": "127.0.0.1:8000", "origin": "https://thord.example.org"}
    with steady.http() as client:
        try:
            steady.worker.reload(server_settings(api=api))
            wait_until(lambda: client.get("/healthz", headers={"host": "Thord.Example.org"}).status_code == 200)
            assert client.post(CHAT, json=ASKED, headers=page).status_code == 200, "behind a proxy"
            assert client.post(CHAT, json={**ASKED, "model": "GPT-4o-mini"}).json()["model"] == "GPT-4o-mini"
            assert [model["id"] for model in client.get("/v1/models").json()["data"]][:2] == ["thor", "gpt-4o-mini"]
        finally:
            steady.worker.reload(server_settings())
            wait_until(lambda: client.get("/healthz", headers={"host": "thord.example.org"}).status_code == 421)
        assert client.post(CHAT, json={**ASKED, "model": "gpt-4o-mini"}).status_code == 404


@pytest.mark.parametrize("name", ["thor", "Thor", "thor:latest", "openai/thor", "thord", "thor@current", "Thor@000001"])
def test_the_model_answers_to_names_that_clients_make_of_its_own(steady: Server, name: str) -> None:
    with steady.http() as client:
        assert client.post(CHAT, json={**ASKED, "model": name}).status_code == 200
        assert client.get(f"/v1/models/{name}").json()["id"] == name


def test_a_wrong_name_is_told_the_right_one(steady: Server) -> None:
    for name in ("gpt-4o", "thor@", "@1", "thor@1@1", "thorx", "openai/"):
        with pytest.raises(openai.NotFoundError, match=r"'thor'.*api\.aliases"):
            steady.openai().completions.create(model=name, prompt="a", max_tokens=1)


@pytest.mark.parametrize("base", ["", "/", "/v1", "/v1/", "//v1", "/v1//"])
def test_any_base_url_leads_in(steady: Server, base: str) -> None:
    client = steady.openai().with_options(base_url=steady.url + base)
    assert client.chat.completions.create(model="thor", max_tokens=1, messages=ASKED["messages"]).choices
    assert client.models.list().data[0].id == "thor"


def test_what_others_call_health(steady: Server) -> None:
    with steady.http() as client:
        for path in ("/health", "/ping", "/healthz"):
            assert client.get(path).json() == {"status": "ok"}
        assert client.get("/version").json()["version"]
        model = client.get("/v1/models").json()["data"][0]
        assert (model["max_model_len"], model["context_length"]) == (192, 192)


@pytest.mark.parametrize(
    ("path", "instead"),
    [
        ("/v1/messages/batches", "POST /v1/messages"),
        ("/api/pull", "thorctl imports"),
        ("/generate", "/v1/chat/completions"),
    ],
)
def test_other_apis_say_what_to_use(steady: Server, path: str, instead: str) -> None:
    with steady.http() as client:
        answer = client.post(path, json={})
    assert answer.status_code == 404
    assert instead in str(answer.json()["error"])


def test_the_state_of_the_service_is_told(steady: Server) -> None:
    """As ``thorctl status`` says it; answers go on."""
    with steady.http() as client:
        alone = client.get("/readyz").json()
        assert (alone["status"], alone["version"]) == ("degraded", "000001")
        assert alone["reasons"] == ["queue-unavailable: the supervisor does not answer"], "no supervisor runs here"
        try:
            steady.worker.send(ServiceHealth(state="degraded", reasons=("monitor is failed",)))
            wait_until(lambda: "monitor is failed" in client.get("/readyz").text)
            answer = client.get("/readyz")
            assert answer.status_code == 200
            assert answer.json()["reasons"][0] == "monitor is failed"
            assert "thord_server_service_degraded 1.0" in client.get("/metrics").text
        finally:
            steady.worker.send(ServiceHealth(state="ready"))
            wait_until(lambda: "monitor is failed" not in client.get("/readyz").text)
        assert "thord_server_service_degraded 0.0" in client.get("/metrics").text
