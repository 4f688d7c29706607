"""The addresses that machines ask all the time: how the service is."""

LIVE = frozenset({"/livez", "/v2/health/live"})
"""The process answers: they need no key, for they tell nothing else."""
PROBES = LIVE | {"/readyz", "/v2/health/ready", "/metrics"}
