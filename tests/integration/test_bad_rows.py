"""A row that cannot be read stops `fit` with the same error on every backend."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kranking as kr

ROWS = 500


@pytest.fixture
def model():
    features = [kr.features.Numeric("age", mean=0.0, std=1.0)]
    model = kr.RankingModel(features, [kr.layers.MLP([4])], [kr.Task("save")])
    model.compile()
    return model


def write(folder, *, bad_age=None, bad_label=None):
    age, save = np.zeros(ROWS), np.arange(ROWS) % 2.0
    if bad_age is not None:
        age[bad_age] = np.nan
    if bad_label is not None:
        save[bad_label] = np.inf
    file = folder / "log.parquet"
    pq.write_table(pa.table({"age": age, "save": save}), file)
    return file


def test_number_that_is_not_finite_late_in_the_log(model, tmp_path):
    reader = kr.data.read_parquet(
        write(tmp_path, bad_age=450), model, batch_size=50, block_rows=100
    )
    with pytest.raises(
        ValueError, match=r"'age' must not contain null, NaN or infinity.*row 450 of .*log.parquet"
    ):
        model.fit(reader, verbose=0)
    with pytest.raises(ValueError, match="row 450"):
        model.evaluate(reader, verbose=0)
    with pytest.raises(ValueError, match="row 450"):
        model.predict(reader, verbose=0)


def test_label_that_is_not_finite_late_in_the_log(model, tmp_path):
    reader = kr.data.read_parquet(
        write(tmp_path, bad_label=333), model, batch_size=50, block_rows=100
    )
    with pytest.raises(ValueError, match=r"Task 'save' does not accept .*inf.*row 333"):
        model.fit(reader, verbose=0)


def test_validation_rows_are_read_with_the_same_care(model, tmp_path):
    (tmp_path / "good").mkdir()
    good = kr.data.read_parquet(write(tmp_path / "good"), model, batch_size=50)
    bad = kr.data.read_parquet(write(tmp_path, bad_age=450), model, batch_size=50, block_rows=100)
    with pytest.raises(ValueError, match="row 450"):
        model.fit(good, validation_data=bad, verbose=0)


def test_an_old_error_is_not_raised_again(model, tmp_path):
    reader = kr.data.read_parquet(
        write(tmp_path, bad_age=450), model, batch_size=50, block_rows=100
    )
    with pytest.raises(ValueError, match="row 450"):
        model.fit(reader, verbose=0)
    write(tmp_path)
    again = kr.data.read_parquet(tmp_path, model, batch_size=50)
    assert len(model.fit(again, verbose=0).history["loss"]) == 1


@pytest.mark.parametrize("bad_row", [70, 450], ids=["first batch", "late"])
def test_the_model_keeps_its_weights(model, tmp_path, bad_row):
    before = [np.array(weight) for weight in model.get_weights()]
    reader = kr.data.read_parquet(write(tmp_path, bad_age=bad_row), model, batch_size=100)
    for score in (model.evaluate, model.predict):
        with pytest.raises(ValueError, match=f"row {bad_row}"):
            score(reader, verbose=0)
        for weight, value in zip(model.get_weights(), before):
            np.testing.assert_array_equal(weight, value)
