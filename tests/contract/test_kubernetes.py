"""docker/kubernetes: whole by Kubernetes' own schemas, locked down, and what it names is there.

There is no cluster here. The pod's two commands, settings and probes are run as they stand, in one
folder that is as Kubernetes makes it; tests/container runs the same pair locked down in containers.
"""

import copy
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import requests
import yaml

from service.settings import PREFIX, load_settings
from tests.conftest import PROJECT, Launcher, Running

FOLDER = PROJECT / "docker" / "kubernetes"
OLDEST, NEWEST = "1.29.0", kubernetes_validate.latest_version()
RULE = "autoscaler-rule.yaml"
Object = dict[str, Any]


def _read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


KUSTOMIZATION: Object = _read("kustomization.yaml")
FILES: dict[str, Object] = {name: _read(name) for name in KUSTOMIZATION["resources"]}
BY_KIND: dict[str, Object] = {told["kind"]: told for told in FILES.values()}
POD: Object = BY_KIND["Deployment"]["spec"]["template"]
WORKER: Object = POD["spec"]["initContainers"][0]
GATEWAY: Object = POD["spec"]["containers"][0]


@pytest.fixture(scope="module")
def rendered() -> list[Object]:
    """What `kubectl apply -k` would send."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        assert not os.environ.get("CI"), ".ci/packages brings kubectl"
        pytest.skip("no kubectl here (Debian: apt-get install kubernetes-client)")
    done = subprocess.run(
        [kubectl, "kustomize", FOLDER], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def test_every_file_is_read_and_the_kinds_are_all_there() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*FILES, "kustomization.yaml", RULE}
    assert set(BY_KIND) == {
        "Namespace", "Deployment", "Service", "NetworkPolicy", "PodDisruptionBudget",
        "HorizontalPodAutoscaler",
    }  # fmt: skip


def test_kustomize_makes_all_of_it_in_one_namespace(rendered: list[Object]) -> None:
    kinds = {told["kind"]: told for told in rendered}
    assert set(kinds) == {*BY_KIND, "ConfigMap"}
    assert {t["metadata"]["namespace"] for k, t in kinds.items() if k != "Namespace"} == {"hyojo"}
    pod = kinds["Deployment"]["spec"]["template"]["spec"]
    name = kinds["ConfigMap"]["metadata"]["name"]
    for container in (*pod["initContainers"], *pod["containers"]):
        assert container["envFrom"][0]["configMapRef"]["name"] == name != "hyojo-settings"
        (image,) = KUSTOMIZATION["images"]
        assert container["image"] == f"{image['newName']}:{image['newTag']}"


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_the_schemas_take_what_kustomize_makes(rendered: list[Object], version: str) -> None:
    for told in rendered:
        kubernetes_validate.validate(told, version, strict=True)


@pytest.mark.parametrize("name", FILES)
def test_the_schemas_take_each_file_and_no_misspelt_field(name: str) -> None:
    kubernetes_validate.validate(FILES[name], OLDEST, strict=True)
    wrong = copy.deepcopy(FILES[name])
    wrong["metadata"]["lables"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, OLDEST, strict=True)


def test_the_pod_is_locked_down() -> None:
    """As the restricted standard asks, and more: read-only, no token, limits of memory."""
    enforced = BY_KIND["Namespace"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    assert enforced == "restricted"
    spec = POD["spec"]
    assert spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    pod = spec["securityContext"]
    assert pod["runAsNonRoot"] is True and pod["seccompProfile"] == {"type": "RuntimeDefault"}
    user = re.search(r"^USER (\d+):(\d+)$", (PROJECT / "docker/Dockerfile").read_text(), re.M)
    assert user and (str(pod["runAsUser"]), str(pod["runAsGroup"])) == user.groups()
    assert all(list(volume) == ["name", "emptyDir"] for volume in spec["volumes"])
    assert all(volume["emptyDir"]["sizeLimit"] for volume in spec["volumes"])
    for container in (WORKER, GATEWAY):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert container["startupProbe"] and container["livenessProbe"]
    assert GATEWAY["readinessProbe"] and WORKER["restartPolicy"] == "Always", "a sidecar"
    assert BY_KIND["NetworkPolicy"]["spec"]["egress"] == []
    assert "Egress" in BY_KIND["NetworkPolicy"]["spec"]["policyTypes"]


def test_each_finds_the_pods() -> None:
    labels = POD["metadata"]["labels"]
    assert BY_KIND["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert BY_KIND["Service"]["spec"]["selector"] == labels
    assert BY_KIND["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert BY_KIND["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    (port,) = GATEWAY["ports"]
    assert BY_KIND["Service"]["spec"]["ports"][0]["targetPort"] == port["name"]
    assert BY_KIND["NetworkPolicy"]["spec"]["ingress"][0]["ports"][0]["port"] == port["name"]
    assert POD["metadata"]["annotations"]["prometheus.io/port"] == str(port["containerPort"])
    scaled = BY_KIND["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    deployment = BY_KIND["Deployment"]
    assert (scaled["kind"], scaled["name"]) == ("Deployment", deployment["metadata"]["name"])
    assert "replicas" not in deployment["spec"], "each apply would undo the autoscaler"


def test_gateway_and_worker_are_those_of_compose() -> None:
    compose = yaml.safe_load((PROJECT / "docker" / "compose.yaml").read_text())["services"]
    for name, container in (("worker", WORKER), ("gateway", GATEWAY)):
        assert container["args"] == compose[name]["command"]
        memory = container["resources"]["limits"]["memory"].lower()
        assert memory.removesuffix("i") == compose[name]["mem_limit"]
        probe = container["readinessProbe" if name == "gateway" else "startupProbe"]
        assert ["CMD", *probe["exec"]["command"]] == compose[name]["healthcheck"]["test"]


def test_the_settings_are_settings_and_leave_time_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    (made,) = KUSTOMIZATION["configMapGenerator"]
    given = dict(literal.split("=", 1) for literal in made["literals"])
    fields = {name.removeprefix(PREFIX).lower(): value for name, value in given.items()}
    assert set(fields) <= set(type(load_settings()).model_fields)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    leaving = GATEWAY["lifecycle"]["preStop"]["exec"]["command"]
    waits = re.search(r"sleep\((\d+)\)", leaving[-1])
    assert waits and WORKER["resources"]["requests"]["cpu"] == str(settings.predictors)
    # The gateway ends, then the worker.
    assert int(waits[1]) + 2 * settings.grace_s < POD["spec"]["terminationGracePeriodSeconds"]


def test_the_autoscalers_number_is_made_of_what_the_service_tells(
    service: Running, face_jpeg: bytes
) -> None:
    (rule,) = _read(RULE)
    (metric,) = BY_KIND["HorizontalPodAutoscaler"]["spec"]["metrics"]
    assert rule["name"]["as"] == metric["pods"]["metric"]["name"]
    assert requests.post(f"{service.url}/classify", files={"image": face_jpeg}, timeout=30).ok
    path = POD["metadata"]["annotations"]["prometheus.io/path"]
    told = requests.get(f"{service.url}{path}", timeout=30).text
    named = set(
        re.findall(r'(hyojo_\w+)\{(stage="queue")', rule["seriesQuery"] + rule["metricsQuery"])
    )
    assert {name for name, _ in named} == {"hyojo_stage_seconds_sum", "hyojo_stage_seconds_count"}
    for name, label in named:
        assert re.search(rf"^{name}\{{{label}\}} \d", told, re.M), name
    assert rule["metricsQuery"].count("<<.LabelMatchers>>") == 2
    assert rule["metricsQuery"].count("<<.GroupBy>>") == 2
    assert rule["metricsQuery"].count("(") == rule["metricsQuery"].count(")")


def test_the_pods_commands_and_probes_run_as_they_stand(launch: Launcher, face_jpeg: bytes) -> None:
    """Over a socket in a folder like an emptyDir: anybody's, with the group's bit."""
    shared = launch.folder / "run"
    shared.mkdir()
    shared.chmod(0o2777)
    (told,) = WORKER["env"]
    assert told["name"] == "HYOJO_WORKER" and GATEWAY["env"] == WORKER["env"]
    endpoint = told["value"].replace("/run/hyojo", str(shared))
    worker = _started(launch, WORKER, endpoint)
    worker.wait_for(lambda: _probe(worker, WORKER["startupProbe"]), "the worker's start", 90)
    gateway = _started(launch, GATEWAY, endpoint, api_keys="ann:s3cret-0123456789")
    gateway.wait_for(lambda: _probe(gateway, GATEWAY["startupProbe"]), "the gateway's start", 60)
    gateway.wait_for(lambda: _probe(gateway, GATEWAY["readinessProbe"]), "readiness", 60)
    assert _probe(worker, WORKER["livenessProbe"]) and _probe(gateway, GATEWAY["livenessProbe"])
    own = Path(endpoint.removeprefix("ipc://")).parent
    assert own != shared and own.stat().st_mode & 0o777 == 0o700
    answer = requests.post(
        f"{gateway.url}/classify",
        files={"image": face_jpeg},
        headers={"X-API-Key": "s3cret-0123456789"},
        timeout=30,
    )
    assert answer.json()["label"] == "happiness"
    assert gateway.stop() == 0, gateway.log
    assert not _probe(gateway, GATEWAY["livenessProbe"])
    assert worker.stop() == 0, worker.log
    assert not _probe(worker, WORKER["livenessProbe"])


def _started(launch: Launcher, container: Object, endpoint: str, **settings: str) -> Running:
    python, *arguments = container["args"]
    assert python == "python"
    return launch(*arguments, worker=endpoint, predictors=1, **settings)


def _probe(running: Running, probe: Object) -> bool:
    """What the kubelet would find."""
    if "httpGet" in probe:
        assert probe["httpGet"]["port"] == GATEWAY["ports"][0]["name"]
        try:
            return requests.get(running.url + probe["httpGet"]["path"], timeout=5).ok
        except requests.ConnectionError:
            return False
    python, *arguments = probe["exec"]["command"]
    assert python == "python"
    done = subprocess.run(
        [sys.executable, *arguments], cwd=PROJECT, env=running.env, capture_output=True, timeout=60
    )
    return done.returncode == 0
