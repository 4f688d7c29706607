"""One of the processes that Ray spreads over the cores: takes a part, answers it, writes its file.

It looks as `infer.py FOLDER` does, by a pool of its own with one predictor: what is damaged, too
large, hangs or crashes costs its own row. No answer passes through Ray.
"""

import contextlib
import os
import socket
from pathlib import Path

from models.errors import BundleError, UsageError
from service import catalog, hiring, logs, scratch
from service.batch import Question, classify_files
from service.folders import parts
from service.folders.bundles import digest
from service.folders.run import LIST, Part, Run, paths_of
from service.pool import Pool
from service.protocol import ImageResult
from service.settings import Settings
from service.shelf import Shelf

PATIENCE_S = 60.0
"""For the images handed out at once: nobody waits for one, and cores may be busy."""

STARTS = 3
"""Of a predictor that does not become warm, as on a machine with too much to do."""


class Looker:
    """A process with a warm predictor.

    Args:
        out: where the results go.
        run: what is asked.
        question: the same in other words.
        settings: of the one who began it.
        batch_size: images handed to the predictor at once.
    """

    def __init__(
        self, out: Path, run: Run, question: Question, settings: Settings, batch_size: int
    ) -> None:
        self._out = out
        self._run = run
        self._question = question
        self._settings = settings
        self._batch_size = batch_size
        self._kept = contextlib.ExitStack()
        self._pool: Pool | None = None

    def look(self, part: Part) -> parts.Done:
        """Answer a part and write it.

        Raises:
            HyojoError: it cannot be done here; the sentence says why.
        """
        for left in reversed(range(STARTS)):
            try:
                told = self._told(part)
                break
            except BundleError:  # it was fit when the run began
                self.close()
                if not left:
                    raise
        try:
            return parts.write(self._out, self._run, part.number, told)
        except OSError as error:
            raise UsageError(
                f"{self._out} cannot be written: {error.strerror or error}. What is there stays; "
                "mend it and give the same command again."
            ) from None

    def close(self) -> None:
        """End the predictor and remove what it needed."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None
        self._kept.close()

    def _told(self, part: Part) -> list[tuple[bytes, ImageResult]]:
        """What each image of a part shows."""
        if self._pool is None:
            self._see_what_is_here()
            self._pool = self._opened()
        paths = paths_of(self._out, part)
        files = [Path(os.fsdecode(path)) for path in paths]
        results = classify_files(self._pool, files, self._question, self._batch_size)
        return [(path, result) for path, (_, result) in zip(paths, results, strict=True)]

    def _opened(self) -> Pool:
        """A pool of one predictor, with the very model that the run was begun with."""
        logs.configure("error", "console", "infer.py")
        folder = self._kept.enter_context(scratch.make("models", scratch.places()))
        shelf = Shelf(folder.path)
        wanted = self._question.averaged or (self._question.model,)
        models = catalog.read(self._settings.params, wanted, wanted[0], shelf)
        for info in models.models.values():
            if info.error:
                raise BundleError(info.error)
        if digest(models, wanted) != self._run.bundle:
            raise UsageError(
                f"The model {self._run.model} was replaced since this run began. Put it back and "
                "give the same command again, or name another folder with --out."
            )
        patient_s = max(PATIENCE_S, self._settings.predictor_timeout_s)
        settings = self._settings.model_copy(
            update={"predictors": 1, "predictor_timeout_s": patient_s}
        )
        return hiring.for_files(models, settings, shelf)

    def _see_what_is_here(self) -> None:
        """A node of a cluster must see the same files, or every row would be an error."""
        seen = (self._out / LIST).exists() and any(map(os.path.exists, self._run.paths))
        if not seen:
            raise UsageError(
                f"The node {socket.gethostname()} does not see the images or {self._out}. Every "
                "node needs both, and this project, under the same paths: put them on a shared "
                "file system."
            )
