import json
import pathlib

import pytest

DOCS = pathlib.Path(__file__).parents[2] / "docs"


def test_all_ways_are_measured(run_script, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("os.sched_setaffinity", lambda *args: None)
    run_script(
        "benchmarks.decoding",
        "--size=500x375",
        "--views=2",
        "--images=2",
        "--seconds=0",
        f"--output_dir={tmp_path}",
    )
    (row,) = json.loads((tmp_path / "decoding.json").read_text())
    assert (row["size"], row["views"]) == ("500x375", 2)
    assert min(row["whole"], row["windows"], row["reduced"]) > 0
    assert "| 500x375 | 2 |" in capsys.readouterr().out


def test_a_file_in_place_of_the_directory_is_an_error_before_measuring(run_script, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="file must be a directory"):
        run_script("benchmarks.decoding", f"--output_dir={tmp_path / 'file'}")


def test_the_page_shows_the_committed_results(load_script):
    rows = json.loads((DOCS / "benchmarks" / "decoding.json").read_text())
    assert load_script("benchmarks.decoding").table(rows) in (DOCS / "large_data.md").read_text()
    for row in rows:
        if row["views"] > 1:
            assert row["whole"] < row["windows"]
