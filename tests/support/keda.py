"""What KEDA's CRDs (keda.sh/v1alpha1) allow of what examples/kubernetes uses, as a JSON schema written after their
documentation: no package that carries the CRDs themselves can be installed beside pytest (cloudcoil-models-keda brings
a plugin that breaks it). The HPA's `behavior` within is the same as in hpa.yaml, which Kubernetes' own schema checks.
"""

from typing import Any

_NAME = {"type": "string", "minLength": 1}
_COUNT = {"type": "integer", "minimum": 0}
_SECONDS = {"type": "integer", "minimum": 1}
_NUMBER = {"type": "string", "pattern": r"^\d+(\.\d+)?$"}


def _object(required: list[str], /, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


# The metadata of the PostgreSQL scaler: all are texts. The query returns one number.
_POSTGRESQL = _object(
    ["query", "targetQueryValue"],
    query={"type": "string", "pattern": "^select "},
    targetQueryValue=_NUMBER,
    activationTargetQueryValue=_NUMBER,
    connectionFromEnv=_NAME,
    host=_NAME,
    port=_NAME,
    userName=_NAME,
    passwordFromEnv=_NAME,
    dbName=_NAME,
    sslmode=_NAME,
)
_TRIGGER = _object(
    ["type", "metadata"],
    type={"const": "postgresql"},
    name=_NAME,
    metricType={"enum": ["AverageValue", "Value"]},
    useCachedMetrics={"type": "boolean"},
    metadata=_POSTGRESQL,
    authenticationRef=_object(
        ["name"], name=_NAME, kind={"enum": ["TriggerAuthentication", "ClusterTriggerAuthentication"]}
    ),
)
_SCALED = _object(
    ["scaleTargetRef", "triggers"],
    scaleTargetRef=_object(["name"], name=_NAME, kind=_NAME, apiVersion=_NAME, envSourceContainerName=_NAME),
    pollingInterval=_SECONDS,
    cooldownPeriod=_COUNT,
    initialCooldownPeriod=_COUNT,
    idleReplicaCount=_COUNT,
    minReplicaCount=_COUNT,
    maxReplicaCount=_SECONDS,
    fallback=_object(["failureThreshold", "replicas"], failureThreshold=_COUNT, replicas=_COUNT),
    advanced=_object(
        [],
        restoreToOriginalReplicaCount={"type": "boolean"},
        horizontalPodAutoscalerConfig=_object([], name=_NAME, behavior={"type": "object"}),
    ),
    triggers={"type": "array", "minItems": 1, "items": _TRIGGER},
)
_AUTHENTICATION = _object(
    [],
    secretTargetRef={
        "type": "array",
        "minItems": 1,
        "items": _object(
            ["parameter", "name", "key"], parameter={"enum": ["connection", "password"]}, name=_NAME, key=_NAME
        ),
    },
)


def schema(kind: str) -> dict[str, Any]:
    """The schema of a ScaledObject or a TriggerAuthentication. Raises KeyError for others."""
    spec = {"ScaledObject": _SCALED, "TriggerAuthentication": _AUTHENTICATION}[kind]
    metadata = _object(["name"], name=_NAME, namespace=_NAME, labels={"type": "object"}, annotations={"type": "object"})
    return _object(
        ["apiVersion", "kind", "metadata", "spec"],
        apiVersion={"const": "keda.sh/v1alpha1"},
        kind={"const": kind},
        metadata=metadata,
        spec=spec,
    )
