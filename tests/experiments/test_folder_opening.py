def test_measures_the_call_with_and_without_a_manifest(load_script, tmp_path):
    script = load_script("benchmarks.folder_opening")
    script.write_folder(tmp_path / "images", classes=2, images=3)
    files = list((tmp_path / "images").rglob("*.png"))
    assert len(files) == 6
    assert len({path.stat().st_ino for path in files}) == 2
    for manifest in (None, tmp_path / "manifest", tmp_path / "manifest"):
        seconds, peak, images = script.measure(tmp_path / "images", manifest)
        assert images == 6
        assert seconds > 0
        assert 0.1 < peak < 100
    assert (tmp_path / "manifest").exists()
