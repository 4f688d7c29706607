"""Loads of the same kind, each a part of a minute at another time, told as one."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from bench.load import Load


@dataclass
class Pooled:
    """What came of some loads, and what they cost.

    Attributes:
        loads: they themselves.
        cpu_s: the service's processor time by role.
        spans_s: of the stages, by name; `count` is how many images they are of.
        others_s: processor time that was neither the service's nor the generator's.
    """

    loads: list[Load] = field(default_factory=list)
    cpu_s: Counter[str] = field(default_factory=Counter)
    spans_s: Counter[str] = field(default_factory=Counter)
    others_s: float = 0.0

    def add(
        self, told: Load, cpu_s: Mapping[str, float], spans_s: Mapping[str, float], others_s: float
    ) -> None:
        """One load more; the arguments are as the attributes."""
        self.loads.append(told)
        self.cpu_s.update(cpu_s)  # type: ignore[arg-type]
        self.spans_s.update(spans_s)  # type: ignore[arg-type]
        self.others_s += others_s

    @property
    def whole(self) -> Load:
        """All of them as one."""
        return Load(
            seconds=sum(one.seconds for one in self.loads),
            latencies_ms=tuple(chain.from_iterable(one.latencies_ms for one in self.loads)),
            errors=sum(one.errors for one in self.loads),
            generator_cpu_s=sum(one.generator_cpu_s for one in self.loads),
            refused=sum(one.refused for one in self.loads),
        )

    def row(self, cores: int) -> dict[str, Any]:
        """For the JSON file; `others` is a share of the machine."""
        whole, count = self.whole, max(1.0, self.spans_s["count"])
        cpu_s = {**self.cpu_s, "generator": whole.generator_cpu_s}
        return {
            "seconds": round(whole.seconds, 3),
            "answers": len(whole.latencies_ms),
            "refused": whole.refused,
            "failed": whole.errors - whole.refused,
            "rate": round(whole.rate, 2),
            **{f"p{share}_ms": round(whole.percentile(share), 2) for share in (50, 90, 99)},
            "stages_ms": {
                name: round(span / count * 1e3, 2)
                for name, span in self.spans_s.items()
                if name != "count"
            },
            "cpu_ms": {role: round(spent * 1e3, 1) for role, spent in cpu_s.items()},
            "others": round(self.others_s / (cores * whole.seconds), 4),
        }
