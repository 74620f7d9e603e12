import pytest

from kranking.serving import _versions
from kranking.serving._versions import add_version, check_name, next_version


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


def test_two_that_chose_one_number_get_two_versions(tmp_path, monkeypatch):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "model").write_text(name)
    chosen = []

    def late(*given):  # another deployment renames its folder after this one has looked
        chosen.append(next_version(*given))
        if len(chosen) == 1:
            (tmp_path / "b").rename(tmp_path / "1")
        return chosen[-1]

    monkeypatch.setattr(_versions, "next_version", late)
    assert add_version(tmp_path / "a", tmp_path).name == "2"
    assert [(tmp_path / name / "model").read_text() for name in "12"] == ["b", "a"]
    (tmp_path / "c").mkdir()
    with pytest.raises(ValueError, match="`version` must be new"):
        add_version(tmp_path / "c", tmp_path, 2)
