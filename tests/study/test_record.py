"""What is kept of an arm, and what is cleared."""

import json

import pytest

from lm_eval_cachesteer.errors import ArgumentError
from lm_eval_cachesteer.study.record import begin, check_own, finish, is_finished

RUN = {"command": ["--tasks", "a"], "vectors": ["ab"], "versions": {"torch": "2"}}


def test_an_arm_is_finished_once_this_very_run_has_come_to_its_end(tmp_path):
    folder = tmp_path / "arm"
    assert not is_finished(folder, RUN)
    begin(folder, RUN)
    assert not is_finished(folder, RUN)
    finish(folder, RUN)
    assert is_finished(folder, RUN)
    for changed in ({"command": ["--tasks", "b"]}, {"vectors": ["ac"]}, {"versions": {"torch": "3"}}):
        assert not is_finished(folder, RUN | changed)
    begin(folder, RUN)  # once more
    assert not is_finished(folder, RUN)


@pytest.mark.parametrize("content", ["{ cut o", "[]", '["--tasks", "a"]', json.dumps(RUN)])
def test_a_damaged_or_older_record_is_not_a_finished_arm(tmp_path, content):
    (tmp_path / "command.json").write_text(content)
    assert not is_finished(tmp_path, RUN)
    check_own(tmp_path)


def test_beginning_clears_what_a_run_of_ours_left(tmp_path):
    folder = tmp_path / "arm"
    begin(folder, RUN)
    (folder / "model").mkdir()
    (folder / "model" / "results_1.json").write_text("{}")
    (folder / "log").write_text("")
    check_own(folder)
    begin(folder, RUN | {"vectors": []})
    assert [path.name for path in folder.iterdir()] == ["command.json"]


def test_what_a_link_points_to_is_left_alone(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "kept").write_text("")
    folder = tmp_path / "arm"
    begin(folder, RUN)
    (folder / "link").symlink_to(tmp_path / "data")
    begin(folder, RUN)
    assert not (folder / "link").exists()
    assert (tmp_path / "data" / "kept").is_file()


def test_what_no_study_wrote_is_refused(tmp_path):
    check_own(tmp_path / "absent")
    check_own(tmp_path)  # empty
    (tmp_path / ".command.json.17.tmp").write_text("{")  # ended while the record was written
    check_own(tmp_path)
    (tmp_path / "results_1.json").write_text("{}")
    for place in (tmp_path, tmp_path / "results_1.json"):
        with pytest.raises(ArgumentError, match="holds files that no study wrote. Choose another folder with --out."):
            check_own(place)
