import pytest

from kranking.serving._versions import check_name, next_version


@pytest.mark.parametrize("name", ["ranker", "home-feed_2.1", "9"])
def test_names_that_servers_take(name):
    check_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "a b", "-a", "é", "a\n", None])
def test_other_names_are_refused(name):
    with pytest.raises(
        ValueError, match=r"`name` must consist of letters, digits.*Received: name="
    ):
        check_name(name)


def test_numbers_go_up(tmp_path):
    assert next_version(tmp_path / "new").name == "1"
    for name in ("2", "10", "config.pbtxt", ".11.unfinished", "²"):
        (tmp_path / name).mkdir()
    assert next_version(tmp_path).name == "11"
    assert next_version(tmp_path, 7).name == "7"


@pytest.mark.parametrize("version", [0, -1, 1.5, "2", True])
def test_a_version_is_a_number(tmp_path, version):
    with pytest.raises(ValueError, match="`version` must be a positive"):
        next_version(tmp_path, version)


def test_a_version_is_never_changed(tmp_path):
    (tmp_path / "2").mkdir()
    with pytest.raises(
        ValueError, match=r"`version` must be new.*version=2.*The next version is 3"
    ):
        next_version(tmp_path, 2)
