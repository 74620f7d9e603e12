import gc
import os
import pickle
import signal
import threading
import types

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kranking.data import LogReader, read_parquet
from kranking.data._prefetcher import Prefetcher
from kranking.features import Categorical, Embedding, Numeric, Sequence, Task

TENSORFLOW = keras.backend.backend() == "tensorflow"


def table(rows, start=0):
    number = np.arange(start, start + rows)
    return pa.table(
        {
            "row": pa.array(number, pa.float32()),
            "session": number // 7,
            "country": pa.array(np.where(number % 3, "DE", "FR")),
            "cover": pa.array([[float(n), -1.0] for n in number], pa.list_(pa.float32())),
            "seen": pa.array([list(range(n % 4)) for n in number], pa.list_(pa.int64())),
            "save": pa.array(number % 2, pa.int8()),
            "hide": pa.array([None if n % 5 == 0 else float(n % 3 == 0) for n in number]),
            "weight": number % 4 / 2,
            "place": number / 1024,
        }
    )


def write(folder, sizes=(300, 41, 512), row_group_size=100):
    start = 0
    for i, size in enumerate(sizes):
        pq.write_table(table(size, start), folder / f"{i}.parquet", row_group_size=row_group_size)
        start += size
    return folder


FEATURES = [
    Numeric("row", transform="none"),
    Categorical("country", vocabulary=("DE", "FR")),
    Embedding("cover", dim=2),
    Categorical("id", column="session", vocabulary=tuple(range(50))),
    Sequence("seen", of="id", max_length=3),
]
TASKS = [Task("save"), Task("hide", nulls="mask")]
MODEL = types.SimpleNamespace(features=FEATURES, tasks=TASKS)
ROWS = 853


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("log"))


def rows_of(reader):
    return np.concatenate([x["row"] for x, *_ in reader])


def test_batches_hold_the_models_keys_in_the_order_of_rows(folder):
    reader = read_parquet(folder, MODEL, batch_size=100)
    assert (len(reader), reader.num_rows) == (9, ROWS)
    batches = list(reader)
    assert [len(y["save"]) for _, y, _ in batches] == [100] * 8 + [53]
    np.testing.assert_array_equal(rows_of(batches), np.arange(ROWS))
    number = np.arange(100)
    x, y, w = batches[0]
    assert set(x) == {"row", "country", "cover", "id", "seen"}
    assert set(y) == set(w) == {"save", "hide"}
    np.testing.assert_array_equal(x["country"], np.where(number % 3, 1, 2))
    np.testing.assert_array_equal(x["cover"][:, 0], number)
    np.testing.assert_array_equal(y["save"], number % 2)
    np.testing.assert_array_equal(w["save"], np.ones(100))
    np.testing.assert_array_equal(w["hide"], number % 5 != 0)
    np.testing.assert_array_equal(y["hide"], (number % 5 != 0) & (number % 3 == 0))
    assert {v.dtype for part in (y, w) for v in part.values()} == {np.dtype("float32")}


def test_sample_weight_multiplies_the_mask(folder):
    _, _, w = next(iter(read_parquet(folder, MODEL, batch_size=50, sample_weight="weight")))
    number = np.arange(50)
    np.testing.assert_array_equal(w["save"], number % 4 / 2)
    np.testing.assert_array_equal(w["hide"], number % 4 / 2 * (number % 5 != 0))


def test_is_told_by_its_rows_and_files(folder):
    reader = read_parquet(folder, MODEL, batch_size=10, shuffle=True)
    start = f"LogReader({reader.num_rows} rows in {len(reader)} batches of 10, shuffled, of "
    assert repr(reader).startswith(start)
    assert repr(reader).endswith(f"{reader.files[0]!r} and {len(reader.files) - 1} more)")


def test_a_pickled_reader_reads_its_epoch_from_the_start(folder):
    reader = read_parquet(folder, MODEL, batch_size=100, shuffle=True, seed=1)
    first, second = rows_of(list(reader)), rows_of(list(reader))
    reader.epoch = 1
    next(iter(reader))
    other = pickle.loads(pickle.dumps(reader))
    assert other.epoch == 1
    np.testing.assert_array_equal(rows_of(list(other)), second)
    assert not np.array_equal(first, second)


def test_without_labels(folder):
    (batch, *_) = read_parquet(folder, MODEL, batch_size=50, labels=False)
    assert len(batch) == 1


@pytest.mark.parametrize("block_rows", [16, 100, 10_000])
def test_shuffled_epochs_hold_every_row_once_and_depend_on_seed_and_epoch_alone(folder, block_rows):
    def epochs(seed=0):
        reader = read_parquet(
            folder, MODEL, batch_size=64, shuffle=True, seed=seed, block_rows=block_rows
        )
        return [rows_of(reader) for _ in range(3)]

    first = epochs()
    for rows in first:
        np.testing.assert_array_equal(np.sort(rows), np.arange(ROWS))
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], np.arange(ROWS))
    np.testing.assert_array_equal(first, epochs())
    assert not np.array_equal(first[0], epochs(seed=1)[0])
    resumed = read_parquet(folder, MODEL, batch_size=64, shuffle=True, block_rows=block_rows)
    resumed.epoch = 2
    np.testing.assert_array_equal(rows_of(resumed), first[2])


def test_a_shuffled_batch_mixes_files(folder):
    reader = read_parquet(folder, MODEL, batch_size=64, shuffle=True)
    assert np.ptp(next(iter(reader))[0]["row"]) > ROWS / 2


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("count", [1, 2, 5, 7])
def test_shards_are_disjoint_and_cover_the_log(folder, count, shuffle):
    shards = [
        rows_of(read_parquet(folder, MODEL, 64, shard=(i, count), shuffle=shuffle))
        for i in range(count)
    ]
    np.testing.assert_array_equal(np.sort(np.concatenate(shards)), np.arange(ROWS))
    assert np.ptp([len(shard) for shard in shards]) <= 1


def test_shards_have_their_own_columns(folder):
    reader = read_parquet(folder, MODEL, 64, shard=(1, 3))
    np.testing.assert_array_equal(reader.column("row"), rows_of(reader))


def test_batches_of_one_row(tmp_path):
    batches = list(read_parquet(write(tmp_path, sizes=(3,)), MODEL, batch_size=1))
    assert [x["row"].tolist() for x, _, _ in batches] == [[0], [1], [2]]
    assert batches[0][0]["seen"].tolist() == [[-1, -1, -1]]  # an empty sequence is all padding


def test_drop_remainder(folder):
    reader = read_parquet(folder, MODEL, 100, drop_remainder=True)
    assert (len(reader), reader.num_rows) == (8, 800)
    assert [len(y["save"]) for _, y, _ in reader] == [100] * 8
    assert len(reader.column("session")) == 800


def test_shards_without_remainder_take_the_same_steps(folder):
    steps = [
        len(read_parquet(folder, MODEL, 61, shard=(i, 2), drop_remainder=True)) for i in (0, 1)
    ]
    assert steps == [6, 6]  # of 426 and 427 rows, the latter 7 times 61


def test_columns_are_whole_and_in_order(folder):
    reader = read_parquet([folder / "0.parquet", str(folder / "2.parquet")], MODEL)
    number = np.r_[np.arange(300), np.arange(341, 853)]
    np.testing.assert_array_equal(reader.column("session"), number // 7)
    np.testing.assert_array_equal(reader.column("country"), np.where(number % 3, "DE", "FR"))
    with pytest.raises(ValueError, match=r"`name` must be a column.*Received: name='nope'"):
        reader.column("nope")


def test_counts_of_unknown_values(folder):
    reader = read_parquet(folder, MODEL)
    assert reader.counts["country"]["rows"] == 0  # what is looked at first is not counted
    list(reader)
    assert reader.counts["country"] == {"rows": ROWS, "nulls": 0, "out_of_vocabulary": 0}
    assert reader.counts["id"]["out_of_vocabulary"] == ROWS - 50 * 7


class Once(keras.metrics.Metric):
    """Largest deviation from "each row once" in an epoch; a row is known by its label."""

    def __init__(self, name="once"):
        super().__init__(name=name)
        self.seen = self.add_variable((ROWS,), "zeros", name="seen")

    def update_state(self, y_true, y_pred, sample_weight=None):
        place = keras.ops.cast(keras.ops.round(y_true * 1024), "int32")
        self.seen.assign_add(keras.ops.sum(keras.ops.one_hot(place, ROWS), axis=0))

    def result(self):
        return keras.ops.max(keras.ops.abs(self.seen - 1))


@pytest.mark.parametrize("batch_size", [100, 500, 1000], ids=["many", "two", "one"])
def test_fit_evaluate_and_predict_with_default_arguments(folder, batch_size):
    """Every row once an epoch, though Keras looks ahead, starts over and shuffles the indices."""
    declared = types.SimpleNamespace(features=FEATURES[:1], tasks=[Task("place")])
    row = keras.Input((), name="row")
    dense = keras.layers.Dense(1)
    model = keras.Model({"row": row}, {"place": dense(keras.ops.reshape(row, (-1, 1)) / ROWS)})
    model.compile("sgd", {"place": "mse"}, metrics={"place": [Once()]})
    train = read_parquet(folder, declared, batch_size, shuffle=True)
    valid = read_parquet(folder, declared, batch_size)
    logs = model.fit(train, validation_data=valid, epochs=3, verbose=0).history
    assert logs["once"] == logs["val_once"] == [0.0] * 3
    assert model.evaluate(valid, verbose=0, return_dict=True)["once"] == 0
    predicted = model.predict(valid, verbose=0)["place"][:, 0]
    kernel, bias = (keras.ops.convert_to_numpy(w) for w in dense.weights)
    expected = np.arange(ROWS, dtype="float32") / ROWS * kernel[0, 0] + bias[0]
    np.testing.assert_allclose(predicted, expected, atol=1e-5)
    scored = model.predict(read_parquet(folder, declared, batch_size, labels=False), verbose=0)
    np.testing.assert_array_equal(scored["place"][:, 0], predicted)


def test_keras_may_ask_in_any_order_look_ahead_and_give_up(folder):
    """What the trainers of the three backends do, one after the other, without a trainer."""
    reader = read_parquet(folder, MODEL, 100, shuffle=True)
    expected = [list(batch[0]["row"]) for batch in read_parquet(folder, MODEL, 100, shuffle=True)]

    def ask(indices):
        assert reader.num_batches == 9  # a pass begins
        return [list(reader[i][0]["row"]) for i in indices]

    assert ask([3]) == expected[:1]  # JAX looks at one batch
    assert ask([0, 1]) == expected[:2]  # TensorFlow at two
    assert ask([5]) == expected[:1]
    assert ask([5, 8, 1, 0]) == expected[:4]  # stopped in mid-epoch
    assert reader.epoch == 0
    assert ask([4, 2, 8, 0, 1, 3, 7, 6, 5]) == expected
    assert reader.epoch == 1
    second = ask(range(9))
    assert second != expected
    assert sorted(row for rows in second for row in rows) == list(range(ROWS))
    with pytest.raises(IndexError, match=r"`index` must be in \[0, 9\). Received: index=9"):
        reader[9]


def test_abandoned_readers_leave_no_thread(folder):
    before = set(threading.enumerate())
    for _ in range(3):
        iterator = iter(read_parquet(folder, MODEL, 10))
        next(iterator)
        del iterator
    reader = read_parquet(folder, MODEL, 10)
    reader[0]
    del reader
    gc.collect()
    assert set(threading.enumerate()) <= before


@pytest.mark.skipif(not TENSORFLOW, reason="tf.data is TensorFlow's")
def test_tf_dataset_gives_the_same_batches(folder):
    reader = read_parquet(folder, MODEL, 100, shuffle=True)
    dataset = read_parquet(folder, MODEL, 100, shuffle=True).tf_dataset()
    assert int(dataset.cardinality()) == 9
    for _ in range(2):
        for ours, theirs in zip(list(reader), dataset, strict=True):
            keras.tree.map_structure(np.testing.assert_array_equal, ours, theirs)


# Bad input: the answers of the reader, the same on every backend.


def changed(folder, name, change, file="1.parquet"):
    data = table(50)
    index = data.schema.get_field_index(name)
    column = change(data.column(name).to_pylist())
    pq.write_table(data.set_column(index, name, column), folder / file, row_group_size=20)
    return str(folder / file)


def test_missing_column(tmp_path):
    write(tmp_path, sizes=(60,))
    pq.write_table(table(50).drop_columns(["cover"]), tmp_path / "1.parquet")
    with pytest.raises(
        ValueError, match=r"Feature 'cover' needs column 'cover', which .*1.parquet"
    ):
        read_parquet(tmp_path, MODEL)
    pq.write_table(table(50).drop_columns(["save"]), tmp_path / "1.parquet")
    with pytest.raises(
        ValueError, match=r"Task 'save' needs column 'save', which .*1.parquet does"
    ):
        read_parquet(tmp_path, MODEL)
    assert len(read_parquet(tmp_path, MODEL, labels=False))
    with pytest.raises(ValueError, match=r"`sample_weight` needs column 'nope'"):
        read_parquet(tmp_path / "0.parquet", MODEL, sample_weight="nope")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "row",
            r"'row' of feature 'row' has a wrong type in .*1.parquet. Expected: numbers. Rec",
        ),
        ("save", r"Task 'save' has the wrong type in column 'save' of .*1.parquet. Expected: numb"),
        ("seen", r"'seen' of feature 'seen' has a wrong type in .*1.parquet. Expected: lists of"),
        ("session", r"Column 'session' in .*1.parquet must contain integers.*Received: 'a'"),
    ],
)
def test_wrong_type(tmp_path, name, text):
    write(tmp_path, sizes=(60,))
    changed(tmp_path, name, lambda values: pa.array(["a"] * len(values)))
    with pytest.raises(ValueError, match=text):
        read_parquet(tmp_path, MODEL)


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.list_(pa.float32(), 3)])
def test_wrong_width_before_the_first_step(tmp_path, kind):
    write(tmp_path, sizes=(60,))
    changed(tmp_path, "cover", lambda values: pa.array([[1, 2, 3]] * len(values), kind))
    with pytest.raises(
        ValueError,
        match=r"Feature 'cover' needs vectors of width 2 in column 'cover'. "
        r"Received: width 3 in .*1.parquet",
    ):
        read_parquet(tmp_path, MODEL)


def spoilt(value, at=33):
    def change(values):
        values[at] = value
        return pa.array([None if v is None else float(v) for v in values])

    return change


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["save", "row"])
def test_null_nan_and_infinity_are_refused_with_row_column_and_file(tmp_path, name, value):
    file = changed(tmp_path, name, spoilt(value))
    who = "Task 'save'" if name == "save" else "Feature 'row'"
    with pytest.raises(ValueError, match=r"null, NaN (and|or) infinity") as error:
        list(read_parquet(file, MODEL, block_rows=8))
    for part in (who, f"column {name!r}", f"row 33 of {file}", "Received: "):
        assert part in str(error.value)


def test_labels_outside_0_and_1_are_refused(tmp_path):
    file = changed(tmp_path, "save", spoilt(2.0))
    with pytest.raises(
        ValueError, match=r"does not accept labels outside \[0, 1\]. Received: 2.0 in col"
    ):
        read_parquet(file, MODEL)


def test_infinity_is_refused_where_nulls_are_masked(tmp_path):
    file = changed(tmp_path, "hide", spoilt(float("inf")))
    with pytest.raises(
        ValueError, match=r"Task 'hide' does not accept .*Received: inf in .*row 33"
    ):
        read_parquet(file, MODEL)


def test_nan_is_masked_like_null(tmp_path):
    file = changed(tmp_path, "hide", spoilt(float("nan")))
    _, y, w = next(iter(read_parquet(file, MODEL)))
    assert (y["hide"][33], w["hide"][33]) == (0, 0)


@pytest.mark.parametrize("value", [-1.0, float("nan"), None])
def test_bad_sample_weights(tmp_path, value):
    file = changed(tmp_path, "weight", spoilt(value))
    with pytest.raises(ValueError, match=r"`sample_weight` must be finite and non-neg.*row 33 of"):
        read_parquet(file, MODEL, sample_weight="weight")


def test_no_file(tmp_path):
    with pytest.raises(ValueError, match=r"`paths` must match existing .parquet files"):
        read_parquet(tmp_path / "*.parquet", MODEL)


def test_empty_file(tmp_path):
    (tmp_path / "0.parquet").touch()
    with pytest.raises(ValueError, match=r"0.parquet' cannot be read as Parquet: it is empty"):
        read_parquet(tmp_path, MODEL)


def test_no_rows(tmp_path):
    pq.write_table(table(0), tmp_path / "0.parquet")
    with pytest.raises(ValueError, match=r"must contain at least 1 rows.*0 rows in .*0.parquet"):
        read_parquet(tmp_path, MODEL)
    write(tmp_path, sizes=(0, 30))  # an empty file beside others is no harm
    assert len(rows_of(read_parquet(tmp_path, MODEL))) == 30


def test_truncated_file(tmp_path):
    write(tmp_path)
    file = tmp_path / "1.parquet"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"1.parquet' cannot be read as Parquet.*truncated"):
        read_parquet(tmp_path, MODEL)


@pytest.fixture
def damaged(tmp_path):
    """The footer is whole, and so are the first rows; pages further on are not."""
    pq.write_table(table(4000), tmp_path / "0.parquet", row_group_size=500, compression="none")
    with pq.ParquetFile(tmp_path / "0.parquet") as parquet:
        last = parquet.metadata.row_group(7).column(0)
        start = last.dictionary_page_offset or last.data_page_offset
    with open(tmp_path / "0.parquet", "r+b") as file:
        file.seek(start)
        file.write(b"\xff" * 64)
    return tmp_path


def test_damage_met_while_reading_names_the_file(damaged):
    reader = read_parquet(damaged, MODEL, 100, block_rows=500)
    with pytest.raises(ValueError, match=r"0.parquet' cannot be read after row 3500"):
        list(reader)
    with pytest.raises(ValueError, match=r"0.parquet' cannot be read after row 3500"):
        [reader[i] for i in range(len(reader))]
    assert isinstance(reader.error, ValueError)


def test_damage_met_in_fit_stops_it_with_the_same_text(damaged):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    features = types.SimpleNamespace(features=FEATURES[:1], tasks=TASKS[:1])
    inputs = {"row": keras.Input((), name="row")}
    output = keras.layers.Dense(1)(keras.ops.reshape(inputs["row"], (-1, 1)))
    model = keras.Model(inputs, {"save": output})
    model.compile("sgd", {"save": "mse"})
    reader = read_parquet(damaged, features, 100, block_rows=500)
    with pytest.raises(Exception, match=r"0.parquet' cannot be read after row 3500") as error:
        model.fit(reader, verbose=0)
    assert TENSORFLOW or type(error.value) is ValueError
    assert isinstance(reader.error, ValueError)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"batch_size": 0}, "`batch_size` must be a positive integer"),
        ({"block_rows": 0}, "`block_rows` must be a positive integer"),
        ({"seed": -1}, "`seed` must be an integer of at least 0"),
        ({"shard": (2, 2)}, r"`shard` must be \(index, count\), index < count. Received: shard="),
        ({"shard": 2}, r"`shard` must be \(index, count\). Received: shard=2"),
        (
            {"sample_weight": ["w"]},
            r"`sample_weight` must be the name of a column or None.*\['w'\]",
        ),
        ({"batch_size": 10_000, "drop_remainder": True}, "must contain at least 10000 rows"),
    ],
)
def test_rejects(folder, arguments, text):
    with pytest.raises(ValueError, match=text):
        read_parquet(folder, MODEL, **arguments)


def test_is_a_reader(folder):
    assert isinstance(read_parquet(folder, MODEL), LogReader)


@pytest.mark.filterwarnings("ignore:os.fork")  # of JAX, which the child does not call
def test_a_forked_process_does_not_wait_for_a_thread_of_its_parent():
    prefetcher = Prefetcher(lambda: iter(range(100)))
    assert next(prefetcher) == 0
    child = os.fork()
    if not child:
        signal.alarm(30)
        try:
            next(prefetcher)
        except RuntimeError as error:
            os._exit("forked process" not in str(error))
        os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
