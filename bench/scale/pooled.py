"""Loads of the same kind, each a part of a minute at another time, told as one."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.load import Load


@dataclass
class Pooled:
    """What came of some loads, and what they cost.

    Attributes:
        seconds: of all of them.
        latencies_ms: of all answers.
        refused: how many requests were.
        failed: requests that got neither.
        cpu_ms: processor time by role.
        spans_s: of the stages, by name; `count` is how many images they are of.
        others_s: processor time that was neither the service's nor the generator's.
    """

    seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    refused: int = 0
    failed: int = 0
    cpu_ms: Counter[str] = field(default_factory=Counter)
    spans_s: Counter[str] = field(default_factory=Counter)
    others_s: float = 0.0

    def add(
        self, told: Load, cpu_s: Mapping[str, float], spans_s: Mapping[str, float], others_s: float
    ) -> None:
        """One load more; the arguments are as the attributes."""
        self.seconds += told.seconds
        self.latencies_ms += told.latencies_ms
        self.refused += told.refused
        self.failed += told.errors - told.refused
        used = {role: spent * 1e3 for role, spent in cpu_s.items()}
        self.cpu_ms.update(used | {"generator": told.generator_cpu_s * 1e3})  # type: ignore[arg-type]
        self.spans_s.update(spans_s)  # type: ignore[arg-type]
        self.others_s += others_s

    def row(self, cores: int) -> dict[str, Any]:
        """For the JSON file; `others` is a share of the machine."""
        count = max(1.0, self.spans_s["count"])
        quantiles = np.percentile(self.latencies_ms or [float("nan")], (50, 90, 99))
        return {
            "seconds": round(self.seconds, 3),
            "answers": len(self.latencies_ms),
            "refused": self.refused,
            "failed": self.failed,
            "rate": round(len(self.latencies_ms) / self.seconds, 2),
            **{
                name: round(float(value), 2)
                for name, value in zip(("p50_ms", "p90_ms", "p99_ms"), quantiles, strict=True)
            },
            "stages_ms": {
                name: round(span / count * 1e3, 2)
                for name, span in self.spans_s.items()
                if name != "count"
            },
            "cpu_ms": {role: round(spent, 1) for role, spent in self.cpu_ms.items()},
            "others": round(self.others_s / (cores * self.seconds), 4),
        }
