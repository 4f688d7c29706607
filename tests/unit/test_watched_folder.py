"""What `hyojo watch` takes for new."""

from pathlib import Path

from hyojo.watching import Folder


def new(folder: Folder) -> list[str]:
    """Names of what is new after two looks: the second sees that it does not grow."""
    folder.new()
    return [Path(path).name for path in folder.new()]


def test_pictures_of_a_disk_that_was_away_are_not_new(tmp_path: Path) -> None:
    """Its mount point is there meanwhile, and empty."""
    album, away = tmp_path / "album", tmp_path / "away"
    album.mkdir()
    (album / "old.jpg").write_bytes(b"x")
    folder = Folder(str(album))
    album.rename(away)
    album.mkdir()
    assert new(folder) == []
    album.rmdir()
    away.rename(album)
    assert new(folder) == []
    (album / "another.jpg").write_bytes(b"y")
    assert new(folder) == ["another.jpg"]
