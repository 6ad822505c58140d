"""Labels of Parquet files: each image gets its own class, whatever its file calls the classes, or is refused."""

import json
from pathlib import Path
from typing import Any

import pictures
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pictures import labels, refused

from benchmark.data import load
from benchmark.spec import Dataset

pytestmark = pytest.mark.usefixtures("own_cache")

NAMES = ["cat", "dog", "emu"]


def table(
    file: Path, labels: Any, *, first: int = 0, name: str = "label", metadata: Any = None, **columns: Any
) -> None:
    """A file of as many pictures, its labels of any type, and the hub's metadata as they are given, sound or not."""
    images = [{"bytes": pictures.encoded(pictures.picture(first + row)), "path": None} for row in range(len(labels))]
    written = pa.table({"image": pa.array(images), name: labels, **columns})
    if metadata is not None:
        written = written.replace_schema_metadata({"huggingface": metadata})
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(written, file)


def features(**label: Any) -> str:
    return json.dumps({"info": {"features": {"label": label}}})


def both(root: Path, train: Any, test: Any, **options: Any) -> None:
    table(root / "birds" / "train.parquet", train, **options)
    table(root / "birds" / "test.parquet", test, first=50, **options)


def test_names_in_another_order_are_mapped_to_the_first_training_files(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number, (file, names) in enumerate(
        {
            "train-00000-of-00002": NAMES,
            "train-00001-of-00002": ["emu", "cat", "dog"],
            "test": ["dog", "cat", "emu"],
        }.items()
    ):
        pictures.parquet(tmp_path / "birds" / f"{file}.parquet", [0, 1, 2], names=names, first=3 * number)
    assert labels(tmp_path) == ([0, 1, 2, 2, 0, 1], [1, 0, 2])
    mapped = "mapped to that by name: 'train-00001-of-00002.parquet', 'test.parquet'"
    assert f"birds: classes are numbered as in train-00000-of-00002.parquet; {mapped}" in caplog.messages
    assert "birds: found 6 training + 3 test images of 3 classes: cat 2 + 1, dog 2 + 1, emu 2 + 1" in caplog.messages


def test_names_are_mapped_where_images_are_streamed_too(tmp_path: Path) -> None:
    for split, names, first in (("train", NAMES, 0), ("test", NAMES[::-1], 3)):
        pictures.parquet(tmp_path / "birds" / f"{split}.parquet", [0, 1, 2], names=names, first=first)
    assert labels(tmp_path, storage="streamed") == ([0, 1, 2], [2, 1, 0])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["cat", "dog", "owl"], "test.parquet names other classes than train.parquet: lacks 'emu', has 'owl'"),
        (["cat", "dog"], "test.parquet names other classes than train.parquet: lacks 'emu'"),
        ([*NAMES, "owl"], "test.parquet names other classes than train.parquet: has 'owl'"),
        (["cat", "dog", "dog", "emu"], "test.parquet names a class twice: 'cat', 'dog', 'dog', 'emu'"),
    ],
)
def test_other_names_are_refused(tmp_path: Path, names: list[str], message: str) -> None:
    pictures.parquet(tmp_path / "birds" / "train.parquet", [0, 1, 2], names=NAMES)
    pictures.parquet(tmp_path / "birds" / "test.parquet", [0, 1], names=names, first=3)
    assert f"1 problem: {message}" in refused(tmp_path)


@pytest.mark.parametrize("silent", ["train", "test"])
def test_a_file_without_names_is_numbered_as_the_others(
    tmp_path: Path, silent: str, caplog: pytest.LogCaptureFixture
) -> None:
    for split, first in (("train", 0), ("test", 3)):
        names = None if split == silent else NAMES
        pictures.parquet(tmp_path / "birds" / f"{split}.parquet", [0, 2, 1], names=names, first=first)
    assert labels(tmp_path) == ([0, 2, 1], [0, 2, 1])
    assert f"taken to be, for want of names: '{silent}.parquet'" in caplog.text


@pytest.mark.parametrize(
    "metadata",
    [
        *("", "null", "{", "[]", "7", '"info"', b"\xff\xfe", "[" * 100_000),
        *('{"info": null}', '{"info": {"features": null}}', '{"info": {"features": []}}'),
        *('{"info": {"features": {"label": null}}}', '{"info": {"features": {"label": ["cat"]}}}'),
        *(features(names=None, _type="ClassLabel"), features(names=[]), features(names=[1, 2, 3])),
        *(
            features(names={"0": "cat"}),
            features(num_classes="3"),
            features(num_classes=-1),
            features(num_classes=True),
        ),
        features(_type=3),
    ],
    ids=lambda text: str(text)[:40],
)
def test_damaged_metadata_are_none(tmp_path: Path, metadata: Any) -> None:
    both(tmp_path, [0, 1, 2], [2, 1, 0], metadata=metadata)
    assert labels(tmp_path) == ([0, 1, 2], [2, 1, 0])


def test_numbers_of_classes_that_differ(tmp_path: Path) -> None:
    table(tmp_path / "birds" / "train.parquet", [0, 1, 2], metadata=features(num_classes=3))
    table(tmp_path / "birds" / "test.parquet", [0, 1, 2], metadata=features(num_classes=4), first=3)
    assert "1 problem: test.parquet has 4 classes, train.parquet has 3" in refused(tmp_path)


WORDS = ["dog", "cat", "dog"]


@pytest.mark.parametrize(
    ("train", "expected"),
    [
        *((pa.array([2, 0, 1], kind), [2, 0, 1]) for kind in (pa.uint8(), pa.int8(), pa.int32(), pa.uint64())),
        (pa.array([2, 0, 1]).dictionary_encode(), [2, 0, 1]),
        (pa.array([True, False, True]), [1, 0, 1]),
        *((pa.array(WORDS, kind), [1, 0, 1]) for kind in (pa.string(), pa.large_string(), pa.string_view())),
        (pa.array(WORDS).dictionary_encode(), [1, 0, 1]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_types_of_labels(tmp_path: Path, train: pa.Array, expected: list[int]) -> None:
    both(tmp_path, train, train)
    assert labels(tmp_path) == (expected, expected)


def test_texts_are_numbered_by_name_over_all_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """However their files are numbered within, and however an accent is written."""
    table(tmp_path / "birds" / "train-0.parquet", pa.array(["emu", "gr\u00f6\u00dfe"]).dictionary_encode())
    table(tmp_path / "birds" / "train-1.parquet", ["dog", "emu"], first=2)
    table(tmp_path / "birds" / "test.parquet", ["gro\u0308\u00dfe", "emu", "dog"], first=4)
    assert labels(tmp_path) == ([1, 2, 0, 1], [2, 1, 0])
    assert "birds: found 4 training + 3 test images of 3 classes: dog 1 + 1, emu 2 + 1, größe 1 + 1" in caplog.messages


def test_texts_that_name_no_class_or_one_of_the_test_split_only(tmp_path: Path) -> None:
    both(tmp_path, ["dog", None, ""], ["dog", "emu"])
    message = refused(tmp_path)
    for problem in (
        "train.parquet row 1 has no label",
        "row 2 has no label",
        "class 1 has no training image: 'emu'",
    ):
        assert problem in message


LABELS = "labels are whole numbers, true or false, or the classes' names; columns: image "


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pa.array([0.0, 1.0]), "double"),
        (pa.array([0.0, 1.0], pa.float32()), "float"),
        (pa.array([0, 1], pa.decimal128(3)), "decimal128(3, 0)"),
        (pa.array([[0], [1]]), "list<"),
        (pa.nulls(2), "null"),
        (pa.array([b"a", b"b"], pa.binary(1)), "fixed_size_binary[1]"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_labels_of_other_types_are_refused_by_name(tmp_path: Path, values: pa.Array, kind: str) -> None:
    """Even if another column has whole numbers, and under any name that the entry chooses."""
    both(tmp_path, values, values, width=[6, 7])
    assert f"dataset 'birds': column 'label' is {kind}" in refused(tmp_path)
    assert LABELS in refused(tmp_path)
    both(tmp_path, values, values, name="species")
    assert f"column 'species' is {kind}" in refused(tmp_path, label_column="species")


def test_the_readmes_example_of_a_column_of_texts(tmp_path: Path) -> None:
    both(tmp_path, ["owl", "emu"], ["emu", "owl"], name="species")
    advice = "a column of texts may be the labels (species): choose one with label_column = ... in its entry; columns: "
    assert advice in refused(tmp_path)
    assert labels(tmp_path, label_column="species") == ([1, 0], [0, 1])
    both(tmp_path, ["owl", "emu"], ["emu", "owl"], name="species", width=[6, 7])
    assert "several columns may be the labels (species, width): choose one" in refused(tmp_path)
    assert "unknown label column 'specie': did you mean species? valid: species, width; columns: image" in refused(
        tmp_path, label_column="specie"
    )


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ({"labels": ["cat", "dog"]}, "test.parquet has string in column 'label', where other files have numbers"),
        ({"labels": [0.0, 1.0]}, "test.parquet has double in column 'label', where other files have numbers"),
        ({"labels": [0, 1], "name": "labels"}, "test.parquet has 0 columns 'label'; columns: image (struct<bytes: bi"),
        ({"labels": [0, 1], "name": "species"}, "test.parquet has 0 columns 'label'"),
    ],
)
def test_a_file_of_another_schema_is_named(tmp_path: Path, test: dict[str, Any], message: str) -> None:
    table(tmp_path / "birds" / "train.parquet", [0, 1])
    table(tmp_path / "birds" / "test.parquet", test.pop("labels"), first=2, **test)
    assert f"1 problem: {message}" in refused(tmp_path)


def test_a_shard_whose_images_are_elsewhere_is_named(tmp_path: Path) -> None:
    table(tmp_path / "birds" / "train-0.parquet", [0, 1])
    pictures.parquet(tmp_path / "birds" / "train-1.parquet", [0, 1], image="img")
    pictures.parquet(tmp_path / "birds" / "test.parquet", [0, 1], image="image", first=9)
    assert "1 problem: train-1.parquet has 0 columns 'image'; columns: img (struct<" in refused(tmp_path)


@pytest.mark.parametrize(
    "labels", [pa.array([-1, -1]), pa.nulls(2, pa.int64()), pa.nulls(2)], ids=["-1", "none", "null"]
)
def test_a_test_split_without_labels_gives_way(
    tmp_path: Path, labels: pa.Array, caplog: pytest.LogCaptureFixture
) -> None:
    """As the hub's of a competition: to a validation split, else to one that is drawn."""
    both(tmp_path, [0, 1, 0, 1], labels)
    assert "no test split of its own: say how many images, test = N" in refused(tmp_path)
    assert len(load(pictures.birds(test=2), tmp_path).train) == 2
    table(tmp_path / "birds" / "validation.parquet", [1, 0], first=80)
    assert load(pictures.birds(), tmp_path).test.labels.tolist() == [1, 0]
    assert "birds: not used, without labels: the test split" in caplog.messages


def test_a_test_split_without_the_column_gives_way(tmp_path: Path) -> None:
    both(tmp_path, [0, 1], [0, 1])
    file = tmp_path / "birds" / "test.parquet"
    pq.write_table(pq.read_table(file, columns=["image"]), file)
    assert "1 problem: test.parquet has 0 columns 'label'" in refused(tmp_path)
    table(tmp_path / "birds" / "validation.parquet", [1, 0], first=80)
    assert labels(tmp_path)[1] == [1, 0]
    table(file, [0, 1], name="labels")
    assert "1 problem: test.parquet has 0 columns 'label'" in refused(tmp_path)


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ([0, 2], [0, 2], "2 problems: class 1 has no training image; class 1 has no test image"),
        ([1, 2], [1, 2], "2 problems: class 0 has no training image; class 0 has no test image"),
        ([0, 1], [0, 1, 5], "1 problem: label 5 has 1 test images and no training image"),
        ([0, 2**30], [0, 1], "1073741823 of 1073741825 classes have no training image, by their labels"),
        ([0, 2**62], [0, 1], "1 problem: train.parquet row 1 has label 4611686018427387904, valid are whole numbers"),
        (pa.array([0, 2**63], pa.uint64()), [0, 1], "1 problem: train.parquet row 1 has label 9223372036854775808"),
        ([0, None], [0, 1], "1 problem: train.parquet row 1 has no label"),
        ([0, 0], [0], "1 problem: all images are of one class, '0'"),
    ],
)
def test_labels_that_are_not_0_to_k(tmp_path: Path, train: Any, test: Any, message: str) -> None:
    both(tmp_path, train, test)
    assert message in refused(tmp_path)


def test_a_split_of_no_rows(tmp_path: Path) -> None:
    both(tmp_path, [0, 1], [0, 1])
    file = tmp_path / "birds" / "test.parquet"
    pq.write_table(pq.read_table(file).slice(0, 0), file)
    assert "1 problem: the test split has no images" in refused(tmp_path)


@pytest.mark.parametrize("kind", ["binary", "large_binary", "binary_view", "dictionary", "struct"])
def test_types_of_images(tmp_path: Path, kind: str) -> None:
    content = [pictures.encoded(pictures.picture(row)) for row in range(2)]
    if kind == "struct":
        images = pa.array([{"path": None, "bytes": each, "width": 6} for each in content])
    elif kind == "dictionary":
        images = pa.array(content).dictionary_encode()
    else:
        images = pa.array(content, getattr(pa, kind)())
    for split in ("train", "test"):
        (tmp_path / "birds").mkdir(exist_ok=True)
        pq.write_table(pa.table({"photo": images, "label": [0, 1]}), tmp_path / "birds" / f"{split}.parquet")
    splits = load(Dataset(name="birds"), tmp_path)
    assert [image.numpy().tolist() for image in splits.train.pixels] == [pictures.pixels(n).tolist() for n in (0, 1)]


@pytest.mark.parametrize(
    "images",
    [
        pa.array(["a.png", "b.png"]),
        pa.array([[b"x"], [b"y"]]),
        pa.array([{"bytes": None, "path": "a.png"}] * 2),
        pa.array([{"bytes": [1, 2]}] * 2),
        pa.array([[[[0]]]] * 2),
    ],
    ids=["paths", "lists of bytes", "paths alone", "lists of numbers", "arrays"],
)
def test_columns_that_hold_no_images(tmp_path: Path, images: pa.Array) -> None:
    (tmp_path / "birds").mkdir()
    pq.write_table(pa.table({"image": images, "label": [0, 1]}), tmp_path / "birds" / "train.parquet")
    assert "no column holds images: they are encoded images, as binary or as a struct with bytes" in refused(tmp_path)
    kind = str(images.type).partition("<")[0]
    assert f"column 'image' is {kind}" in refused(tmp_path, image_column="image")


def test_a_column_that_is_there_twice(tmp_path: Path) -> None:
    (tmp_path / "birds").mkdir()
    columns = [pa.array([b"x", b"y"]), pa.array([0, 1]), pa.array([1, 0])]
    pq.write_table(pa.table(columns, ["image", "label", "label"]), tmp_path / "birds" / "train.parquet")
    assert "column 'label' is there more than once" in refused(tmp_path)


def test_odd_names_of_columns(tmp_path: Path) -> None:
    both(tmp_path, [1, 0], [0, 1], name="a.b\nc")
    assert labels(tmp_path, label_column="a.b\nc") == ([1, 0], [0, 1])
    assert r"columns: image (struct<bytes: binary, path: null>), a.b\nc (int64)" in refused(tmp_path, label_column="c")


def test_texts_that_cannot_be_decoded(tmp_path: Path) -> None:
    buffers = pa.array([b"\xff", b"a"]).buffers()
    both(tmp_path, pa.Array.from_buffers(pa.string(), 2, [None, *buffers[1:]]), ["a", "b"])
    assert "train.parquet cannot be read as Parquet: 'utf-8' codec can't decode byte 0xff" in refused(tmp_path)
