import io
import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from supcon_tf import augmentation
from supcon_tf.data import evaluation_batches, load_folder, multi_view_batches


def write_png(path, height, width, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full([height, width, 3], value, np.uint8)
    path.write_bytes(tf.io.encode_png(image).numpy())


@pytest.fixture
def folder(tmp_path):
    write_png(tmp_path / "dog" / "b.png", 20, 30, 200)
    write_png(tmp_path / "cat" / "a.png", 16, 16, 50)
    write_png(tmp_path / "cat" / "c.PNG", 40, 12, 100)
    (tmp_path / "cat" / ".hidden.png").write_text("not an image")
    (tmp_path / ".cache").mkdir()
    return tmp_path


@pytest.mark.slow
def test_reads_images_of_any_size(folder):
    source = load_folder(folder)
    assert source.class_names == ("cat", "dog")
    np.testing.assert_array_equal(source.labels, [0, 0, 1])
    (images, labels), *rest = evaluation_batches(source, size=8, batch_size=4)
    assert not rest
    assert images.shape == (3, 8, 8, 3)
    np.testing.assert_allclose(images[:, 0, 0, 0], np.array([50, 100, 200]) / 255, atol=1e-5)
    np.testing.assert_array_equal(labels, [0, 0, 1])


def test_views_of_files(folder):
    source = load_folder(folder, channels=1).take(np.array([2, 0]))
    policy = augmentation.RandomResizedCrop(8)
    views, labels = next(iter(multi_view_batches(source, policy, batch_size=2)))
    assert views.shape == (2, 2, 8, 8, 1)
    expected = np.array([50, 200])[labels.numpy()] / 255
    np.testing.assert_allclose(views, np.tile(expected[:, None, None, None, None], views.shape[1:]))


def test_class_ids_follow_the_given_names(folder):
    source = load_folder(folder, class_names=("dog", "cat"))
    assert source.class_names == ("dog", "cat")
    np.testing.assert_array_equal(source.labels, [0, 1, 1])
    assert [record.decode()[-9:] for record in source.records] == [
        "dog/b.png",
        "cat/a.png",
        "cat/c.PNG",
    ]


@pytest.mark.parametrize(
    ("class_names", "message"),
    [
        (["cat", "dog", "cow"], r"no other directory.*missing classes \['cow'\], unknown .*\[\]$"),
        (["cat"], r"missing classes \[\], unknown classes \['dog'\]$"),
        (["cats", "dog"], r"\['cats'\], unknown classes \['cat'\]; 'cat' is similar to 'cats'$"),
        (["cat", "dog", "dog"], "`class_names` must be a sequence of distinct names. Received"),
        ("ab", "`class_names` must be a sequence of distinct names. Received: 'ab'"),
    ],
)
def test_bad_class_names(folder, class_names, message):
    with pytest.raises(ValueError, match=message):
        load_folder(folder, class_names=class_names)


def test_missing_directory(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="`directory` must be an existing directory.*nowhere"
    ):
        load_folder(tmp_path / "nowhere")


def test_no_classes(tmp_path):
    with pytest.raises(ValueError, match="one subdirectory of images per class.*Received"):
        load_folder(tmp_path)


def test_a_single_class(folder):
    (folder.parent / "deeper").mkdir()
    folder.rename(folder.parent / "deeper" / "pets")
    with pytest.warns(UserWarning, match="the single class 'pets'.*are deeper") as warnings:
        load_folder(folder.parent / "deeper")
    assert warnings[0].filename == __file__


def test_empty_class(folder):
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match="empty must be a directory that contains images"):
        load_folder(folder)


def test_the_parts_of_a_data_set_are_no_classes(folder):
    (folder / "cat").rename(folder / "train")
    (folder / "dog").rename(folder / "Test")
    with pytest.raises(ValueError, match="the directories Test, train, which are the parts"):
        load_folder(folder)
    assert load_folder(folder, class_names=["train", "Test"]).class_names == ("train", "Test")
    (folder / "train").rename(folder / "dev")  # Without training images, they can be classes.
    assert load_folder(folder).class_names == ("Test", "dev")


@pytest.mark.parametrize("contents", [b"", b"text", "truncated"])
def test_unreadable_image(folder, contents):
    path = folder / "dog" / "bad.png"
    if contents == "truncated":
        contents = (folder / "dog" / "b.png").read_bytes()[:-40]
    path.write_bytes(contents)
    with pytest.raises(ValueError, match=r"dog/bad\.png cannot be read.*Replace or remove"):
        load_folder(folder)
    assert len(load_folder(folder, verify=False)) == 4


def test_nested_images_are_read_and_other_files_are_counted(folder):
    write_png(folder / "dog" / "puppy" / "today" / "a.png", 9, 9, 150)
    write_png(folder / "dog" / ".thumbnails" / "a.png", 9, 9, 0)
    write_png(folder / "linked", 9, 9, 250)  # a file beside the class directories
    (folder / "elsewhere").symlink_to(folder / "dog" / "puppy")
    for name in ("cat/x.tif", "cat/deep/y.TIF", "dog/notes.txt", "overview.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"")
    match = (
        r"^5 files of .* are skipped \(1 .png, 2 .tif, 1 .txt, 1 without a suffix\). "
        "Only files with the suffixes .bmp, .*.png.* are read in class directories$"
    )
    with pytest.warns(UserWarning, match=match) as warnings:
        source = load_folder(folder)
    assert len(warnings) == 1
    assert warnings[0].filename == __file__
    np.testing.assert_array_equal(source.labels, [0, 0, 1, 1, 2])
    assert source.class_names == ("cat", "dog", "elsewhere")
    names = [record.decode().removeprefix(f"{folder}/") for record in source.records]
    assert names[2:] == ["dog/b.png", "dog/puppy/today/a.png", "elsewhere/today/a.png"]


def test_a_name_that_is_not_utf_8(folder):
    name = os.fsencode(folder / "cat") + b"/\xe9.png"
    os.rename(folder / "cat" / "a.png", name)
    source = load_folder(folder)
    assert source.records[1] == name
    assert len(list(evaluation_batches(source, size=8, batch_size=1))) == 3


# A smooth image, for which the fast decoding of JPEG is close to Pillow's.
PIXELS = np.fromfunction(lambda y, x, c: 20 * y + 9 * x + 30 * c, [6, 5, 4]).astype(np.uint8)
READS_WEBP = pytest.mark.skipif(not hasattr(tf.io, "decode_webp"), reason="needs TensorFlow 2.21")
# Lossless files of libjxl 0.11 with two pixels: [10, 20, 30] and [40, 50, 60] with alpha, or 10 and
# 40 in gray.
TWO_PIXELS = np.array([[[10, 20, 30], [40, 50, 60]]])
JPEG_XL = {
    "RGBA": bytes.fromhex("ff0a0070b0120800100054004b188b154219764cf22e200200245f2108b33f4801"),
    "gray": bytes.fromhex("ff0a0070101437020800010024004b188b1542b1ea4139"),
}


def encoded(mode, kind, **options):
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(directory, name, contents, channels):
    """Reads the pixels of a file through a source, from 0 to 255."""
    (directory / "dog").mkdir()
    (directory / "dog" / name).write_bytes(contents)
    source = load_folder(directory, class_names=["dog"], channels=channels)
    draws = tf.zeros([1, 1, 0])
    views = tf.function(lambda: source.views(tf.constant([0]), draws, lambda images, _: images))()
    return 255 * views[0, 0].numpy()


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("mode", "kind", "options", "tolerance"),
    [
        ("RGB", "PNG", {}, 0),
        ("RGBA", "PNG", {}, 0),
        ("L", "PNG", {}, 0),
        ("RGB", "BMP", {}, 0),
        ("L", "BMP", {}, 0),
        ("L", "GIF", {}, 0),
        ("P", "GIF", {}, 0),
        ("RGB", "JPEG", {"quality": 100, "subsampling": 0}, 6),
        ("CMYK", "JPEG", {"quality": 100, "subsampling": 0}, 6),
        pytest.param("RGB", "WEBP", {"lossless": True}, 0, marks=READS_WEBP),
        pytest.param("RGBA", "WEBP", {"lossless": True, "exact": True}, 0, marks=READS_WEBP),
    ],
)
def test_formats(tmp_path, mode, kind, options, tolerance, channels):
    """TensorFlow itself cannot decode BMP, GIF, WebP or JPEG in CMYK to gray."""
    contents = encoded(mode, kind, **options)
    expected = np.array(Image.open(io.BytesIO(contents)).convert("RGBA"), float)[..., :3]
    if channels == 1:
        expected = np.round(expected @ [[0.2989], [0.587], [0.114]])
        tolerance += 1
    actual = decoded(tmp_path, f"b.{kind.lower()}", contents, channels)
    np.testing.assert_allclose(actual, expected, atol=tolerance + 1e-4)


@READS_WEBP
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", JPEG_XL)
def test_jpeg_xl(tmp_path, mode, channels):
    expected = TWO_PIXELS if mode == "RGBA" else np.repeat(TWO_PIXELS[..., :1], 3, axis=-1)
    if channels == 1:
        expected = np.round(expected @ [[0.2989], [0.587], [0.114]])
    actual = decoded(tmp_path, "b.jxl", JPEG_XL[mode], channels)
    np.testing.assert_allclose(actual, expected, atol=1e-4)


@READS_WEBP
def test_an_animated_webp_is_an_error(tmp_path):
    """TensorFlow would end the process if it decoded the file to its own number of channels."""
    frames = [Image.fromarray(255 - PIXELS)]
    contents = encoded("RGBA", "WEBP", save_all=True, append_images=frames, lossless=True)
    with pytest.raises(ValueError, match=r"b\.webp cannot be read as an image"):
        decoded(tmp_path, "b.webp", contents, 3)


@pytest.mark.parametrize("manifest", [False, True])
def test_damaged_files_can_be_left_out(folder, tmp_path_factory, manifest):
    options = {"on_error": "skip"}
    if manifest:
        options["manifest"] = tmp_path_factory.mktemp("manifest") / "file"
    (folder / "cat" / "broken.png").write_bytes(b"no image")
    (folder / "cat" / "worse.png").write_bytes(b"")
    for _ in range(2):
        with pytest.warns(UserWarning, match="broken.png cannot be read.*1 more.*are left out"):
            source = load_folder(folder, **options)
        assert source.labels.tolist() == [0, 0, 1]
    (folder / "dog" / "b.png").write_bytes(b"no image either")
    with pytest.raises(ValueError, match="dog must contain an image that can be.*1 damaged"):
        load_folder(folder, **options)
    with pytest.raises(ValueError, match="`on_error` must be one of.*'ignore'"):
        load_folder(folder, on_error="ignore")


def test_files_of_16_bits_and_four_channels(folder):
    pixels = np.random.default_rng(0).integers(0, 1 << 16, [5, 5, 4], np.uint16)
    (folder / "dog" / "b.png").write_bytes(tf.io.encode_png(pixels).numpy())
    source = load_folder(folder, channels=4, dtype="uint16").take([2])
    ((images, _),) = evaluation_batches(source, size=5, batch_size=1)
    np.testing.assert_allclose(images[0], pixels / 65535, rtol=1e-6)
