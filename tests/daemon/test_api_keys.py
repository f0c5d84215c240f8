"""The file of API keys: what a line says, and what it may not say."""

from hashlib import sha256
from pathlib import Path

import pytest

from daemon.api_keys import Keys, KeysFileError


def written(folder: Path, text: str) -> Keys:
    (folder / "keys").write_text(text, encoding="utf-8")
    return Keys([folder / "keys"])


def test_a_key_without_scopes_may_read_and_generate(tmp_path: Path) -> None:
    keys = written(tmp_path, f"plain\n{sha256(b'hashed').hexdigest()}\nwith:colon\nread\n")
    for key in (b"plain", b"hashed", b"with:colon", b"read"):
        assert keys.scopes(key) == {"read", "generate"}
    assert keys.scopes(b"other") is None


def test_scopes_follow_their_key(tmp_path: Path) -> None:
    keys = written(
        tmp_path,
        f"one:read\nwith spaces and:colon: read, train\nsha256:{sha256(b'x').hexdigest()}:admin\n"
        f"twice:read\ntwice:generate\n{sha256(b'y').hexdigest()}:train\n",
    )
    assert keys.scopes(b"one") == {"read"}
    assert keys.scopes(b"with spaces and:colon") == {"read", "train"}
    assert keys.scopes(b"x") == {"admin"}
    assert keys.scopes(b"twice") == {"read", "generate"}
    assert keys.scopes(b"y") == {"train"}
    assert keys.scopes(b"one:read") is None


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("secret:read,trian", "there is no scope 'trian'; scopes are read, generate, train, work, admin"),
        ("secret:read,", "there is no scope ''; scopes are read, generate, train, work, admin"),
        (":read", "there is no key before the scopes"),
    ],
)
def test_a_line_that_makes_no_sense_lets_nobody_in_and_is_named_without_its_key(
    tmp_path: Path, line: str, fault: str
) -> None:
    with pytest.raises(KeysFileError) as refused:
        written(tmp_path, f"# people\nfine\n{line}\n")
    assert f"{tmp_path / 'keys'}, line 3: {fault}" in str(refused.value)
    assert "secret" not in str(refused.value)
