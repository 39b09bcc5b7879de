"""The manifests of examples/kubernetes: held to the schemas of Kubernetes (kubernetes-validate) and of KEDA
(support/keda.py), and to what they say to `pgq` and to the database.
"""

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from typer.main import get_command

from pgqueue.cli.root import tree
from pgqueue.cli.values import seconds
from pgqueue.worker.fleet import GRACE_SECONDS
from tests.support import keda

if TYPE_CHECKING:
    import psycopg

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "kubernetes"
KUBERNETES = "1.37"


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def check(document: dict[str, Any]) -> None:
    """Raises what the schemas' libraries raise."""
    if document["apiVersion"].startswith("keda.sh/"):
        jsonschema.Draft202012Validator(keda.schema(document["kind"])).validate(document)
    else:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


EVERY = [
    pytest.param(document, id=f"{name}:{document['kind']}")
    for name in ("deployment.yaml", "keda.yaml", "hpa.yaml")
    for document in documents(name)
]


@pytest.mark.parametrize("document", EVERY)
def test_a_manifest_is_what_its_schema_wants(document: dict[str, Any]) -> None:
    check(document)


@pytest.mark.parametrize("document", EVERY)
def test_a_misspelt_field_is_noticed(document: dict[str, Any]) -> None:
    wrong = copy.deepcopy(document)
    first = min(wrong["spec"])
    wrong["spec"][f"{first}s"] = wrong["spec"][first]

    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        check(wrong)


def container() -> dict[str, Any]:
    (deployment,) = documents("deployment.yaml")
    (found,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_pods_have_more_time_to_drain_than_the_worker_takes() -> None:
    (deployment,) = documents("deployment.yaml")
    words = dict(word.removeprefix("--").split("=") for word in container()["args"])

    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > (
        seconds(words["shutdown-timeout"]) + GRACE_SECONDS
    )
    assert {port["containerPort"] for port in container()["ports"]} == {
        int(words["health-port"]),
        int(words["metrics-port"]),
    }


def test_the_worker_is_started_with_flags_that_it_has() -> None:
    work = get_command(tree()).commands["work"]  # type: ignore[attr-defined]
    flags = {flag for option in work.params for flag in option.opts}

    assert container()["command"][:2] == ["pgq", "work"]
    assert {word.split("=")[0] for word in container()["args"]} <= flags


def test_the_query_of_keda_is_answered_to_a_viewer(conn: "psycopg.Connection[Any]") -> None:
    conn.execute(
        "select pgqueue.enqueue('t', queue => queue) from unnest(array['default', 'mail', 'mail', 'other']) queue"
    )
    conn.execute("select pgqueue.enqueue('t', queue => 'mail', run_at => now() + interval '1 hour')")
    (trigger,) = documents("keda.yaml")[1]["spec"]["triggers"]

    conn.execute("set role pgqueue_viewer")
    answer = conn.execute(trigger["metadata"]["query"].encode()).fetchall()

    assert answer == [(3,)]
    assert trigger["type"] == "postgresql"


def test_both_autoscalers_aim_at_the_same(repository: Path) -> None:
    (hpa,) = documents("hpa.yaml")
    authentication, scaled = documents("keda.yaml")
    (trigger,) = scaled["spec"]["triggers"]
    (metric,) = hpa["spec"]["metrics"]
    (deployment,) = documents("deployment.yaml")
    (rule,) = documents("prometheus-adapter.yaml")[0]["rules"]["external"]
    behavior = scaled["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]

    assert metric["external"]["target"]["averageValue"] == trigger["metadata"]["targetQueryValue"]
    assert hpa["spec"]["behavior"] == behavior
    assert {hpa["spec"]["scaleTargetRef"]["name"], scaled["spec"]["scaleTargetRef"]["name"]} == {
        deployment["metadata"]["name"]
    }
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]
    assert rule["name"]["as"] == metric["external"]["metric"]["name"]
    families = (repository / "pgqueue/observe/metrics_families.py").read_text()
    for name in ("pgqueue_jobs", "pgqueue_queue_paused"):
        assert f'"{name}"' in families
        assert name in rule["metricsQuery"]
