import errno
from pathlib import Path

import pytest
from nightcal.planning.master_library import read_library


@pytest.mark.parametrize("text", ["", "[1]", '{"warning": ""}', '{"warning": "", "setup": {"MASTER": "gain"}}'])
def test_a_json_file_that_is_no_measured_gain_is_skipped(tmp_path, text):
    (tmp_path / "gain_other.json").write_text(text)
    assert read_library(tmp_path) == []


@pytest.mark.parametrize(("number", "stops"), [(errno.EIO, True), (errno.EMFILE, True), (errno.EACCES, False)])
def test_trouble_with_the_machine_does_not_silently_drop_a_measured_gain(tmp_path, monkeypatch, number, stops):
    (tmp_path / "gain_other.json").write_text("{}")

    def fail(*_, **__):
        raise OSError(number, "trouble")

    monkeypatch.setattr(Path, "read_text", fail)
    if stops:
        with pytest.raises(OSError, match="trouble"):
            read_library(tmp_path)
    else:
        assert read_library(tmp_path) == []
