"""A running average of a network's weights: steadier than the weights of any one step.

Polyak and Juditsky 1992; the warm-up of the decay is the usual one, so that the first steps do not
hang on. Statistics of batch norms are averaged alike.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from models.weights import set_state, state_of


class Average:
    """The average of a network's states.

    Args:
        model: whose; only what is trained or counted in it changes.
        decay: share of the old average that stays at each step; 0 averages nothing.
    """

    def __init__(self, model: Any, decay: float) -> None:
        self._model = model
        self._decay = decay
        self.steps = 0
        self.state: dict[str, np.ndarray] = state_of(model) if decay else {}

    def step(self) -> None:
        """After an optimiser's step."""
        self.steps += 1
        decay = min(self._decay, (1 + self.steps) / (10 + self.steps))
        if self._decay:
            for name, value in self._model.state_dict().items():
                kept = self.state[name]
                kept *= decay
                kept += (1 - decay) * value.numpy()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """The network holds the average inside the block, and its own weights again after it."""
        if not self._decay:
            yield
            return
        own = state_of(self._model)
        set_state(self._model, self.state)
        try:
            yield
        finally:
            set_state(self._model, own)

    def restore(self, state: Mapping[str, np.ndarray], steps: int) -> None:
        """Go on from what was saved."""
        self.state, self.steps = dict(state), steps
