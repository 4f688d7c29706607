"""What the plan for many machines takes as given and did not measure; each with its source."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Assumption:
    """A number from elsewhere.

    Attributes:
        value: of it.
        unit: in which it stands.
        what: it is.
        source: where it comes from, or that it was chosen.
    """

    value: float
    unit: str
    what: str
    source: str


_DEPLOYMENT = "docker/kubernetes/deployment.yaml"
_LARGE = "Kubernetes, “Considerations for large clusters” (which has at most 5,000 nodes)"

BUSY = Assumption(0.7, "of the capacity", "load that a fleet is planned for", "chosen")
WIRE = Assumption(
    1.05, "bytes", "on the wire, a byte of HTTP", "Ethernet, IP and TCP: 78 of 1,538 bytes a frame"
)
SCRAPE = Assumption(15, "s", "between Prometheus' scrapes", "chosen")
SAMPLE = Assumption(2, "bytes", "a sample on Prometheus' disk", "its documentation: 1 to 2")
SERIES = Assumption(
    3,
    "kB",
    "of Prometheus' memory, a series",
    "Robust Perception, “Why does Prometheus use so much RAM?”",
)
NODE = Assumption(110, "pods", "on a node at most", _LARGE)
LINK = Assumption(10, "Gbit/s", "that a balancer carries; it is loaded by half", "chosen")
IMAGE = Assumption(0.79, "GB", "of the container's image", "README.md: `docker image inspect`")
POD_START = Assumption(
    2, "s", "to schedule a pod and start its containers", "chosen; not measured on a cluster"
)
NODE_START = Assumption(
    90, "s", "until a new node takes pods, the image pulled", "chosen; clouds differ"
)
READY_PROBE = Assumption(5, "s", "between readiness probes", _DEPLOYMENT)
PRE_STOP = Assumption(5, "s", "that a pod waits before it ends", _DEPLOYMENT)
POD_CORES = Assumption(2.5, "cores", "that a pod asks for", _DEPLOYMENT)
SURGE = Assumption(1, "pod", "more at a time in a rollout (`maxSurge`)", _DEPLOYMENT)
MOST_PODS = Assumption(10, "pods", "at most (`maxReplicas`)", "docker/kubernetes/autoscaler.yaml")

ALL = {name: value for name, value in list(globals().items()) if isinstance(value, Assumption)}
"""By their names."""
