"""Vector files of strangers: each is refused in one line that names it, by every door, and nothing else happens."""

import io
import json
import os
import pickle
import stat
import time
import zipfile

import pytest

from lm_eval_cachesteer.core import format as vector_format
from lm_eval_cachesteer.core.vectors import SteeringVectors
from lm_eval_cachesteer.errors import CachesteerError, VectorFileError
from lm_eval_cachesteer.harness.backend import CacheSteerLM

from ..cli.conftest import cachesteer  # noqa: F401 - a fixture
from .property import assert_one_line
from .support import ARCHITECTURE, BYTES, HEADER, METADATA, entries, file_of, header_text, numbers

SOUND = file_of()
UNREADABLE = "not a readable safetensors file"
MALFORMED = "metadata is malformed"
ESCAPE = "\x1b[31mred"


def architecture(**changes):
    return json.dumps(ARCHITECTURE | changes)


def zipped():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
    return content.getvalue()


class Calls:
    """What a pickle would call when it is loaded."""

    def __reduce__(self):
        return (os.mkdir, ("executed",))


def one_tensor(**entry):
    """A sound file but for one entry."""
    tensors = entries()
    tensors["keys.1"] |= entry
    return file_of(tensors)


def named(name):
    """A file with one more tensor."""
    return file_of(entries(["keys.1", "keys.2", "values.1", "values.2", name]), numbers(5 * BYTES // 4))


BAD = {
    # Cut, or something else altogether
    "empty": (b"", UNREADABLE),
    "seven bytes": (SOUND[:7], UNREADABLE),
    "cut after the length": (SOUND[:HEADER], UNREADABLE),
    "cut in the header": (SOUND[:100], UNREADABLE),
    "cut by one byte": (SOUND[:-1], UNREADABLE),
    "cut in half": (SOUND[: len(SOUND) // 2], UNREADABLE),
    "one byte more": (SOUND + b"\0", UNREADABLE),
    "a pickle": (pickle.dumps(Calls()), UNREADABLE),
    "a torch checkpoint": (zipped(), UNREADABLE),
    "a GGUF file": (b"GGUF\x03\0\0\0" + bytes(64), UNREADABLE),
    "gzip": (b"\x1f\x8b\x08" + bytes(64), UNREADABLE),
    "HTML": (b"<!DOCTYPE html><title>404</title>" * 4, UNREADABLE),
    "a pointer of git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64, UNREADABLE),
    # Sizes
    "a header as long as addresses go": (file_of(length=2**64 - 1), UNREADABLE),
    "a header of 10 GB": (file_of(length=10_000_000_000), UNREADABLE),
    "a header longer than the file by a byte": (file_of(data=b"", length=len(file_of(data=b"")) - 7), UNREADABLE),
    "a header of no bytes": (file_of(length=0), UNREADABLE),
    "a header shorter than it is": (file_of(length=16), UNREADABLE),
    "a tensor of 10 GB": (one_tensor(shape=[1, 2_500_000_000], data_offsets=[0, 10_000_000_000]), UNREADABLE),
    "a tensor whose size overflows": (one_tensor(shape=[2**62, 2**62]), UNREADABLE),
    "a shape that is not the size": (one_tensor(shape=[2, 9]), UNREADABLE),
    "a shape below zero": (one_tensor(shape=[-2, -8]), UNREADABLE),
    "offsets swapped": (one_tensor(data_offsets=[BYTES, 0]), UNREADABLE),
    "offsets that overlap": (one_tensor(data_offsets=[4, BYTES + 4]), UNREADABLE),
    "offsets that leave a gap": (file_of(entries(), numbers(5 * BYTES // 4)), UNREADABLE),
    # The header
    "no JSON": (file_of(header="{" + "a" * 63), UNREADABLE),
    "a list": (file_of(header="[]"), UNREADABLE),
    "nesting without end": (file_of(header='{"a":' + "[" * 5000 + "]" * 5000 + "}"), UNREADABLE),
    "not UTF-8": (file_of(header=b'{"\xff\xfe": 1}'), UNREADABLE),
    "a tensor twice": (file_of(header=header_text().replace('"keys.2"', '"keys.1"')), UNREADABLE),
    "metadata twice": (file_of(header=header_text().replace("{", '{"__metadata__": {}, ', 1)), UNREADABLE),
    "a key of the metadata twice": (file_of(header=header_text().replace('"kind"', '"model_id"')), UNREADABLE),
    "metadata that is a number": (file_of(header=header_text().replace('"6"', "6")), UNREADABLE),
    "no metadata": (file_of(header=json.dumps(entries())), "metadata 'format' is None"),
    "an unknown dtype": (one_tensor(dtype="F33"), UNREADABLE),
    "a dtype that is a number": (one_tensor(dtype=32), UNREADABLE),
    # Tensors
    "float16": (file_of(entries(dtype="F16", size=BYTES // 2), numbers(2 * BYTES // 4)), "must be float32, got F16"),
    "float64": (file_of(entries(dtype="F64", size=2 * BYTES), numbers(8 * BYTES // 4)), "must be float32, got F64"),
    "whole numbers": (file_of(entries(dtype="I32")), "must be float32, got I32"),
    "one dimension": (file_of(entries(shape=[BYTES // 4])), "must be float32 of shape"),
    "three dimensions": (file_of(entries(shape=[1, 2, 8])), "must be float32 of shape"),
    "no dimension": (file_of(entries(shape=[], size=4), numbers(4)), "must be float32 of shape"),
    "no numbers": (file_of(entries(shape=[2, 0], size=0), b""), "must be float32 of shape"),
    "no tensors": (file_of({}, b""), "need keys and values for the same layers"),
    "keys alone": (file_of(entries(["keys.1", "keys.2"]), numbers(2 * BYTES // 4)), "for the same layers"),
    "keys of other layers": (file_of(entries(["keys.1", "values.2"]), numbers(2 * BYTES // 4)), "for the same layers"),
    "NaN": (file_of(data=numbers(first=float("nan"))), "keys.1 holds NaN or infinity"),
    "infinity": (file_of(data=numbers(first=float("-inf"))), "keys.1 holds NaN or infinity"),
    **{
        f"a tensor named {name!r}": (named(name), "unexpected tensor")
        for name in ("keys.01", "keys.-1", "keys.1e3", "keys.1234567", "keys.\u0661", "keys.3\n", " keys.3", "KEYS.3",
                     "../../etc/passwd", "/etc/passwd", ESCAPE, "\u202ekeys.3", "x" * 10_000)
    },
    # Metadata
    "another format": (file_of(format="pt"), "not a vector file"),
    "another version": (file_of(format_version="2"), "version '2' is unknown"),
    "a version like ours": (file_of(format_version="1 "), "version '1 ' is unknown"),
    "another key space": (file_of(key_space="pre_rope"), "key space 'pre_rope' is unknown"),
    **{
        f"without {name}": (file_of(**{name: None}), "is missing")
        for name in ("kind", "model_id", "architecture", "pair_count", "token_position", "offset_token")
    },
    **{
        f"{name} {text[:20]!r}": (file_of(**{name: text}), MALFORMED)
        for name, texts in {
            "pair_count": ("many", "1.5", "1_000", "-1", "true", '"6"', "\u0661", "9" * 5000, "[6]", ""),
            "token_position": ("last", "-1.0", "null"),
            "recommended_c_values": ("NaN", "Infinity", "1e999", "true", '"5"', "5,0", "9" * 400, "{}"),
            "offset_token": ("7", '"\\ud800"', "\\n"),
            "offset_token_id": ("1.0", '"198"', "true"),
            "fewshot_selection": ("random:x", "all", "random:" + "9" * 5000),
            "architecture": (
                "{}", "[]", "7", '{"n_layers": 4}', architecture(more=1), architecture(n_layers="4"),
                architecture(n_layers=-4), architecture(n_layers=True), architecture(head_dim=8.5),
                architecture(rope_base=[1]), architecture(rope_base={"": "big"}), architecture(model_type=ESCAPE),
                architecture(model_type=None), "[" * 50_000 + "]" * 50_000,
                header_text().replace('"kind"', '"kind", "kind"'), '{"n_layers": 4, "n_layers": 5}',
            ),
            "kind": (ESCAPE, "two\nlines", "a\u202eb", "a\x00b", "x" * 20_000),
            "license": ("\x9b31m", "a\u2028b", "x" * 20_000),
            "contrast_set": ("../../secret", "/etc/passwd", "..\\secret"),
            "against_set": ("../x",),
        }.items()
        for text in texts
    },
    "fewer layers than vectors": (file_of(architecture=architecture(n_layers=2)), "vectors of layer 2, but the model"),
}  # fmt: skip


def snapshot(folder):
    """Everything below a folder that a command could have changed."""
    return {
        path: (found.st_mode, found.st_size, found.st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        for found in [path.lstat()]
    }


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder to stand in, a cache of its own, no network."""
    monkeypatch.setenv("CACHESTEER_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def checked(cachesteer, llama_folder):  # noqa: F811 - the fixture
    """Asks for vectors in Python, on the command line and as lm_eval does; returns the one message."""

    def ask(place, reference):
        before = snapshot(place)
        with pytest.raises(CachesteerError) as error:
            CacheSteerLM(pretrained=str(llama_folder), device="cpu", vectors=reference)
        message = str(error.value)
        assert_one_line(message)
        finished = cachesteer("inspect", reference)
        assert (finished.code, finished.out) == (3, "")
        assert finished.error == f"Error: {message}\n"
        assert snapshot(place) == before
        return message

    return ask


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_by_every_door(place, checked, name):
    content, expected = BAD[name]
    (place / "bad.safetensors").write_bytes(content)
    with pytest.raises(VectorFileError, match="^bad.safetensors: "):
        SteeringVectors.load("bad.safetensors")
    message = checked(place, "bad.safetensors")
    assert message.startswith("bad.safetensors: ")
    assert expected in message
    assert message.endswith(".")


def test_the_file_they_are_made_from_is_sound(place, cachesteer):  # noqa: F811
    (place / "good.safetensors").write_bytes(SOUND)
    assert SteeringVectors.load("good.safetensors").layers == [1, 2]
    assert cachesteer("inspect", "good.safetensors").code == 0


def test_a_file_of_10_gb_is_refused_unread(place, checked, monkeypatch):
    """It says of itself exactly what it holds: zeros, which take no space on disk."""
    size = 10_000_000_000
    tensors = {
        "keys.1": {"dtype": "F32", "shape": [1, size // 8], "data_offsets": [0, size // 2]},
        "values.1": {"dtype": "F32", "shape": [1, size // 8], "data_offsets": [size // 2, size]},
    }
    head = file_of(tensors, b"")
    with (place / "bad.safetensors").open("wb") as file:
        file.write(head)
        file.truncate(len(head) + size)
    monkeypatch.setattr(vector_format, "safe_open", lambda *_, **__: pytest.fail("it was handed to the library"))
    started = time.perf_counter()
    message = checked(place, "bad.safetensors")
    assert f"it has {len(head) + size} bytes, vector files at most 268435456" in message
    assert time.perf_counter() - started < 5


def test_a_header_of_90_mb_is_refused_unread(place, checked, monkeypatch):
    """The library would read up to 100 MB."""
    size = 90_000_000
    with (place / "bad.safetensors").open("wb") as file:
        file.write(size.to_bytes(HEADER, "little") + b"{")
        file.truncate(HEADER + size)
    monkeypatch.setattr(vector_format, "safe_open", lambda *_, **__: pytest.fail("it was handed to the library"))
    assert f"claims that {size} of them are its header" in checked(place, "bad.safetensors")


def test_a_pickle_is_not_executed(place, checked):
    for name in ("bad.safetensors", "steering.safetensors"):
        (place / name).write_bytes(pickle.dumps(Calls()))
    checked(place, "bad.safetensors")
    checked(place, str(place))
    assert not (place / "executed").exists()
    pickle.loads((place / "bad.safetensors").read_bytes())  # noqa: S301 - it is one that does something
    assert (place / "executed").exists()


class TestWhatIsNoFile:
    def test_a_folder(self, place, checked):
        (place / "bad.safetensors").mkdir()
        assert checked(place, "bad.safetensors").startswith("bad.safetensors: cannot be read (a folder)")

    def test_a_folder_without_vectors(self, place, checked):
        (place / "some where").mkdir()
        message = checked(place, "some where")
        assert message == "some where: a folder without steering.safetensors. Name a vector file in it."

    def test_a_pipe_is_not_waited_for(self, place, checked):
        os.mkfifo(place / "bad.safetensors")
        assert checked(place, "bad.safetensors").startswith("bad.safetensors: cannot be read (not a regular file)")

    def test_a_device_is_not_read(self, place, checked):
        (place / "bad.safetensors").symlink_to("/dev/zero")
        assert checked(place, "bad.safetensors").startswith("bad.safetensors: cannot be read (not a regular file)")

    def test_a_link_to_nothing(self, place, checked):
        (place / "bad.safetensors").symlink_to("gone.safetensors")
        assert checked(place, "bad.safetensors").startswith("bad.safetensors: no such vector file")

    def test_a_link_to_itself(self, place, checked):
        (place / "bad.safetensors").symlink_to("bad.safetensors")
        assert checked(place, "bad.safetensors").startswith("bad.safetensors: cannot be read (Too many levels")

    def test_a_file_that_may_not_be_read(self, place, checked, monkeypatch):
        path = place / "bad.safetensors"
        path.write_bytes(SOUND)
        path.chmod(0)
        if os.geteuid() == 0:  # who may read everything

            def refused(*_, **__):
                raise PermissionError(13, "Permission denied", str(path))

            monkeypatch.setattr(vector_format, "_check_header", refused)
        assert checked(place, "bad.safetensors").startswith("bad.safetensors: cannot be read (Permission denied)")

    def test_a_file_that_changes_while_it_is_read(self, place, monkeypatch):
        path = place / "bad.safetensors"
        path.write_bytes(SOUND)
        check = vector_format._check_header

        def then_cut(path):
            check(path)
            path.write_bytes(SOUND[:100])

        monkeypatch.setattr(vector_format, "_check_header", then_cut)
        with pytest.raises(VectorFileError, match=UNREADABLE):
            SteeringVectors.load("bad.safetensors")


class TestNames:
    """What can be written after `vectors=` beside files."""

    @pytest.mark.parametrize(
        "reference",
        [
            *("../../x", "..", ".", "../x", "./x", "/etc/passwd", "/", "//", "~", "~root/x", "~nobody-of-this-name/x"),
            *("org/repo:../../x", "org/repo:/etc/passwd", "org/repo:..", "org/repo:a/../../b", "org/repo:a//b"),
            *("../repo", "org/..", ".org/repo", "org/.repo", "org/repo:", "org/repo:a\\..\\b", "org/repo/more"),
            *("https://example.com/x.bin", "file:///etc/passwd", "a b", "a\x00b", "a\nb", ESCAPE, "\u202ex", "$(id)"),
            *("x" * 300, "x" * 5000, "/" + "x" * 5000, "a/" * 3000, "..safetensors", "-", "con:"),
        ],
    )
    def test_none_leads_anywhere(self, place, checked, monkeypatch, reference):
        (place / "steering.bin").write_bytes(SOUND)
        monkeypatch.setattr(
            "huggingface_hub.hf_hub_download", lambda *words, **_: pytest.fail(f"asked the hub for {words}")
        )
        checked(place, reference)

    def test_a_file_of_a_repository_may_lie_in_a_folder(self, place, monkeypatch):
        from lm_eval_cachesteer.sources.resolve import resolve_vectors

        (place / "good.safetensors").write_bytes(SOUND)
        asked = []

        def download(repository, file, revision=None):
            asked.append((repository, file))
            return "good.safetensors"

        monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
        resolve_vectors("org/repo:a.b/..c/v.safetensors")
        assert asked == [("org/repo", "a.b/..c/v.safetensors")]

    @pytest.mark.parametrize("kind", ["../../x", "/x", "a/b", "..", ".hidden", "a b", ESCAPE])
    def test_vectors_cannot_be_kept_outside_of_their_folder(self, place, cachesteer, kind):  # noqa: F811
        before = snapshot(place)
        finished = cachesteer("extract", "--contrast", "stepwise", "--pretrained", "no/such", "--kind", kind)
        assert finished.code == 3
        assert "cannot be the name of vectors" in finished.error
        assert snapshot(place) == before


class TestTheListOfKnownVectors:
    @pytest.fixture(autouse=True)
    def cached(self, place):
        folder = place / "cache" / "vectors" / "tiny-llama"
        folder.mkdir(parents=True)
        (folder / "good.safetensors").write_bytes(SOUND)
        (folder / "cut.safetensors").write_bytes(SOUND[:-9])
        (folder / "gone.safetensors").symlink_to("nowhere")
        (folder / "folder.safetensors").mkdir()
        os.mkfifo(folder / "pipe.safetensors")
        (folder / "linked.safetensors").symlink_to("good.safetensors")
        return folder

    def test_damaged_files_are_named_and_the_others_listed(self, cached, cachesteer):  # noqa: F811
        finished = cachesteer("vectors", "--json")
        assert finished.code == 0
        listed = json.loads(finished.out)["vectors"]
        ours = [one["name"] for one in listed if one["origin"] == "cached"]
        assert ours == ["good", "linked"]
        assert "stepwise" in [one["name"] for one in listed]
        lines = finished.error.splitlines()
        assert len(lines) == 4
        for name in ("cut", "gone", "folder", "pipe"):
            assert sum(f"Left out: {cached / name}.safetensors: " in line for line in lines) == 1
        table = cachesteer("vectors")
        assert table.code == 0
        assert "good" in table.out
        assert " cut " not in table.out

    def test_they_do_not_hinder_the_others(self, cachesteer):  # noqa: F811
        assert cachesteer("inspect", "good").code == 0
        assert cachesteer("inspect", "stepwise").code == 0

    def test_one_that_is_asked_for_is_an_error(self, cached, cachesteer):  # noqa: F811
        finished = cachesteer("inspect", "cut")
        assert finished.code == 3
        assert f"{cached}/cut.safetensors: {UNREADABLE}" in finished.error

    def test_a_sound_one_of_the_same_name_is_taken(self, cached, cachesteer):  # noqa: F811
        (cached / "stepwise.safetensors").write_bytes(SOUND[:50])
        assert cachesteer("inspect", "stepwise").code == 0


def test_a_vector_file_is_replaced_and_a_link_not_followed(place):
    """What a link points to is not ours to change."""
    (place / "theirs").write_bytes(b"theirs")
    (place / "v.safetensors").symlink_to("theirs")
    (place / "good.safetensors").write_bytes(SOUND)
    SteeringVectors.load("good.safetensors").save("v.safetensors")
    assert (place / "theirs").read_bytes() == b"theirs"
    assert stat.S_ISREG((place / "v.safetensors").lstat().st_mode)


def test_metadata_that_could_not_be_read_again_is_not_written():
    from lm_eval_cachesteer.core.metadata import VectorMetadata

    for field, value in (("kind", "a\nb"), ("license", ESCAPE), ("contrast_set", "a/b"), ("pair_count", -1)):
        with pytest.raises(VectorFileError, match=field):
            VectorMetadata(**({"kind": "k", "model_id": "m"} | {field: value}))
    assert set(METADATA) - set(VectorMetadata.__dataclass_fields__) == {"format", "format_version"}
