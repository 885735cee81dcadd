import keras
import numpy as np
import pytest
import tensorflow as tf
from absl import flags

import supcon_tf


@pytest.fixture
def encoder(tmp_path):
    encoder = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3), keras.layers.GlobalMaxPooling2D()]
    )
    encoder.save(tmp_path / "encoder.keras")
    return encoder


@pytest.mark.slow
def test_a_data_set(run_script, tmp_path, encoder):
    output = tmp_path / "new" / "embeddings.npy"
    run_script(
        "embed",
        f"--encoder={tmp_path / 'encoder.keras'}",
        "--dataset=digits",
        f"--output={output}",
        "--batch_size=100",
    )
    digits = supcon_tf.data.load_digits("test")
    expected = encoder.predict(digits.images / np.float32(255), verbose=0)
    np.testing.assert_allclose(np.load(output), expected, atol=1e-5)
    with np.load(output.with_name("embeddings_images.npz")) as written:
        np.testing.assert_array_equal(written["labels"], digits.labels)
        assert list(written["class_names"]) == list(digits.class_names)


@pytest.mark.slow
def test_a_directory(run_script, tmp_path, encoder, capsys):
    rng = np.random.default_rng(0)
    images = {}
    for name in ("b.png", "deep/a.png", "deep/er/c.PNG"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        images[name] = rng.integers(0, 256, [8, 8, 1], np.uint8)
        path.write_bytes(tf.io.encode_png(images[name]).numpy())
    (tmp_path / "images" / ".hidden.png").write_text("")
    (tmp_path / "images" / "notes.txt").write_text("")
    output = tmp_path / "embeddings.npy"
    run_script(
        "embed",
        f"--encoder={tmp_path / 'encoder.keras'}",
        f"--images={tmp_path / 'images'}",
        f"--output={output}",
    )
    skipped, _ = capsys.readouterr().out.splitlines()
    assert skipped.startswith(
        f"1 files of {tmp_path / 'images'} are skipped (1 .txt). Only files with"
    )
    with np.load(tmp_path / "embeddings_images.npz") as written:
        assert list(written["paths"]) == ["b.png", "deep/a.png", "deep/er/c.PNG"]
        pixels = np.stack([images[name] for name in written["paths"]]) / np.float32(255)
    np.testing.assert_allclose(np.load(output), encoder.predict(pixels, verbose=0), atol=1e-5)
    (tmp_path / "images" / "b.png").rename(tmp_path / "images" / "d.png")
    with pytest.raises(ValueError, match=r"representations of other inputs \(paths\)"):
        run_script(
            "embed",
            f"--encoder={tmp_path / 'encoder.keras'}",
            f"--images={tmp_path / 'images'}",
            f"--output={output}",
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--output=x.npz", "--dataset=digits"], ValueError, "`--output` must end in .npy"),
        (["--output=x.npy"], flags.IllegalFlagValueError, "either --images or --dataset"),
        (
            ["--output=x.npy", "--dataset=digits", "--images=."],
            flags.IllegalFlagValueError,
            "either --images or --dataset",
        ),
    ],
)
def test_bad_flags(run_script, tmp_path, encoder, arguments, error, message):
    with pytest.raises(error, match=message):
        run_script("embed", f"--encoder={tmp_path / 'encoder.keras'}", *arguments)


@pytest.mark.slow
def test_missing_encoder_and_images(run_script, tmp_path, encoder):
    output = f"--output={tmp_path / 'x.npy'}"
    with pytest.raises(
        FileNotFoundError, match="`--encoder` must be an existing file.*nothing.keras"
    ):
        run_script("embed", "--encoder=nothing.keras", "--dataset=digits", output)
    (tmp_path / "empty").mkdir()
    path = f"--encoder={tmp_path / 'encoder.keras'}"
    with pytest.raises(FileNotFoundError, match="empty must be a directory that contains images"):
        run_script("embed", path, f"--images={tmp_path / 'empty'}", output)
    (tmp_path / "empty" / "a.gif").write_bytes(b"GIF89a")
    with pytest.raises(ValueError, match=r"empty/a\.gif cannot be read as an image"):
        run_script("embed", path, f"--images={tmp_path / 'empty'}", output)
    keras.Sequential([keras.Input((None, None, 1)), keras.layers.GlobalMaxPooling2D()]).save(
        tmp_path / "any_size.keras"
    )
    with pytest.raises(ValueError, match="`encoder` must take square images of a fixed size"):
        path = f"--encoder={tmp_path / 'any_size.keras'}"
        run_script("embed", path, "--dataset=digits", output)
    assert not (tmp_path / "x.npy").exists()
