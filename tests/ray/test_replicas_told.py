"""Several replicas' states as one, where they do not serve the same models just now."""

import pytest

from service.protocol import ModelInfo, State, StatusReply


def told(*models: tuple[str, State]) -> StatusReply:
    return StatusReply(
        id="x",
        ready=True,
        reason="",
        models=[ModelInfo(name=name, state=state) for name, state in models],
        default_model="w",
        predictors_ready=1,
        predictors=1,
        queue_length=0,
        queue_limit=64,
        counters={},
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray's own, where it is imported
def test_models_are_told_by_name_where_replicas_differ_for_a_while() -> None:
    """One has a new bundle already, whose name comes first."""
    from service import ray_client  # Ray takes a second

    old = told(("smile", "asleep"), ("w", "warm"))
    new = told(("new", "warm"), ("smile", "warm"), ("w", "warm"))
    for replies, names in (([old, new], ["smile", "w"]), ([new, old], ["new", "smile", "w"])):
        models = ray_client.together(replies).models
        assert [info.name for info in models] == names
        assert {info.state for info in models} == {"warm"}
