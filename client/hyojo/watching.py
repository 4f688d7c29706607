"""A folder watched: which of its pictures are new, and whole.

It is looked at again and again: that works on every system and on folders of other machines too,
where the kernel's own messages do not come.
"""

from __future__ import annotations

import os
from typing import TypeAlias

from hyojo.pictures import files_in

_State: TypeAlias = "tuple[int, int, int]"
"""Bytes, time of the last change, and inode: another picture has another one."""


class Folder:
    """The pictures of one folder and of those below it.

    Args:
        path: of the folder.
        known: whether those that are there now count as seen.

    Raises:
        NotADirectoryError: it is no folder.
    """

    def __init__(self, path: str, known: bool = True) -> None:
        if not os.path.isdir(path):
            raise NotADirectoryError(path)
        self._path = path
        self._last: dict[str, _State] = {}
        self._taken: dict[str, _State] = self._look() if known else {}

    def new(self) -> list[str]:
        """Pictures that came or changed and then stayed as they are from one call to the next.

        A picture that is still being written has grown meanwhile, and waits.
        """
        if not os.path.isdir(self._path):  # a disk that is away for a while: nothing is forgotten
            return []
        seen = self._look()
        if not seen:  # emptied, or its disk is away though the folder it is mounted on is there
            return []
        found = [
            path
            for path, state in seen.items()
            if state[0] and state == self._last.get(path) and state != self._taken.get(path)
        ]
        self._last = seen
        self._taken = {path: state for path, state in self._taken.items() if path in seen}
        self._taken.update((path, seen[path]) for path in found)
        return found

    def _look(self) -> dict[str, _State]:
        states = {}
        for path in files_in(self._path):
            try:
                about = os.stat(path)
            except OSError:  # gone, or not ours to see
                continue
            states[path] = about.st_size, about.st_mtime_ns, about.st_ino
        return states
