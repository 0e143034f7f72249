"""What CloudWatch is told of calls and instances."""

from __future__ import annotations

import time

from ml_lens.rehearsal.inside.sagemaker.cloud import Cloud
from ml_lens.rehearsal.inside.sagemaker.fleets import Variant

_OVERHEAD = 500.0
_BETWEEN_LOOKS_AT_INSTANCES = 1.0
_IN_USE = {"MemoryUtilization": 10.0, "DiskUtilization": 5.0}
"""What an instance without load would show; the sandbox has no instances that could be measured."""


class Measurements:
    """Records calls in the metrics of SageMaker."""

    def __init__(self, cloud: Cloud) -> None:
        """Record through ``cloud``."""
        self._cloud = cloud

    def answered(self, endpoint: str, variant: Variant, status: int, seconds: float) -> None:
        """Record a call that a model answered, with ``status`` or, if it is 0, not at all."""
        self._record(
            endpoint,
            variant,
            {
                "Invocations": 1,
                "InvocationsPerInstance": 1 / max(variant.count, 1),
                "Invocation4XXErrors": float(400 <= status < 500),
                "Invocation5XXErrors": float(status >= 500 or status == 0),
                "InvocationModelErrors": float(not 200 <= status < 300),
                "ModelLatency": _rounded(seconds * 1e6),
                "OverheadLatency": _OVERHEAD,
            },
        )
        self._look_at_instances(endpoint, variant)

    def refused(self, endpoint: str, variant: Variant, *, throttled: bool) -> None:
        """Record a call that reached no model."""
        self._record(
            endpoint,
            variant,
            {
                "Invocations": 1,
                "Invocation4XXErrors": 1,
                "Invocation5XXErrors": 0,
                **({"ServerlessConcurrentExecutionsUtilization": 1.0} if throttled else {}),
            },
        )

    def _record(self, endpoint: str, variant: Variant, values: dict[str, float]) -> None:
        if variant.at_once:
            values.setdefault(
                "ServerlessConcurrentExecutionsUtilization", variant.under_way / variant.at_once
            )
        self._cloud.measure({"EndpointName": endpoint, "VariantName": variant.name}, values)

    def _look_at_instances(self, endpoint: str, variant: Variant) -> None:
        now = time.monotonic()
        if now - variant.told < _BETWEEN_LOOKS_AT_INSTANCES:
            return
        variant.told = now
        busy = min(100.0, 100.0 * variant.under_way / max(variant.count, 1))
        self._cloud.measure(
            {"EndpointName": endpoint, "VariantName": variant.name},
            {"CPUUtilization": busy, **_IN_USE},
            of_instances=True,
        )


def _rounded(value: float) -> float:
    """Return three digits of a value, so that equal ones can be counted instead of kept."""
    return float(f"{value:.3g}")
