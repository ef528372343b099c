from pathlib import Path

import pytest

from api.settings import load_settings
from rag.errors import InvalidInputError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("CITEBOUND_PORT", "CITEBOUND_K", "CITEBOUND_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


def test_flags_come_before_the_environment_before_the_file_before_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings().port == 8000
    Path("citebound.toml").write_text('port = 1\nk = 3\ndecoder = "scripted"\n')
    assert (load_settings().port, load_settings().k, load_settings().decoder) == (1, 3, "scripted")
    monkeypatch.setenv("CITEBOUND_PORT", "2")
    assert load_settings().port == 2
    assert load_settings(port=3, k=None).port == 3
    assert load_settings(port=3, k=None).k == 3


def test_folders_are_absolute() -> None:
    settings = load_settings(data_dir="here")
    assert settings.data_dir == Path.cwd() / "here"
    assert settings.model_cache.is_absolute()


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ({"port": 70000}, "port"),
        ({"k": 0}, "k"),
        ({"device": "tpu"}, "device"),
        ({"prompt_tokens": "many"}, "prompt_tokens"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_setting(flags: dict[str, object], name: str) -> None:
    with pytest.raises(InvalidInputError, match=rf"^setting {name}: .*CITEBOUND_{name.upper()}") as error:
        load_settings(**flags)
    assert "\n" not in str(error.value)


def test_an_unknown_name_in_the_file_is_refused() -> None:
    Path("citebound.toml").write_text("prot = 1\n")
    with pytest.raises(InvalidInputError, match="no setting named 'prot'"):
        load_settings()


def test_a_file_that_is_not_toml_is_refused() -> None:
    Path("citebound.toml").write_text("port: 1\n")
    with pytest.raises(InvalidInputError, match=r"citebound\.toml"):
        load_settings()


def test_limits_are_those_of_the_settings() -> None:
    limits = load_settings(max_pages=7, max_file_bytes=11).limits
    assert (limits.max_pages, limits.max_file_bytes) == (7, 11)
