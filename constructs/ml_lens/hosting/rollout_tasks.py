"""What the states of a rollout speak of, and what more than one of them does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from ml_lens.foundation.functions import PythonFunction
from ml_lens.foundation.observability import AlarmTopic
from ml_lens.hosting.deployment_records import DeploymentRecords
from ml_lens.hosting.endpoint_config import VARIANT
from ml_lens.hosting.rollout_plan import RolloutPlan
from ml_lens.hosting.workflows import ANY_ERROR, backing_off, call, caught, refusal

_SAGEMAKER = "aws-sdk:sagemaker:"
_BUSY = backing_off(["SageMaker.SageMakerException", "SageMaker.SdkClientException"])
_LOOKS_EVERY = Duration.seconds(30)
_LOOKS = 180
"""Looks at an endpoint that changes, which is an hour and a half."""
_CHANGING = "['Creating', 'Updating', 'SystemUpdating', 'RollingBack']"
_LIVE_COUNT = f"$states.result.ProductionVariants[VariantName = '{VARIANT}'].CurrentInstanceCount"

LONGEST_CAUSE = 30_000
"""Characters of a reason that a state machine takes."""


@dataclass(frozen=True, kw_only=True)
class RolloutParts:
    """What the states speak of."""

    endpoint: str
    """Name of the endpoint."""
    prefix: str
    """What the names of models and configurations begin with that runs make."""
    plan: RolloutPlan
    """The steps in which traffic moves."""
    probe: PythonFunction
    """Asks a variant what the answers to are known."""
    judge: PythonFunction
    """Looks at what a variant did with live traffic."""
    candidates: s3.IBucket
    """Where the artifacts of candidates have to be."""
    records: DeploymentRecords
    """Keeps what became of every run, and the lock."""
    topic: AlarmTopic
    """Is told."""


class RolloutTasks:
    """Makes the states that occur more than once, in one scope."""

    def __init__(self, scope: Construct, parts: RolloutParts) -> None:
        """Make states in ``scope``."""
        self.scope = scope
        self.parts = parts

    def sagemaker(
        self, id: str, operation: str, arguments: Mapping[str, Any] | str, **fields: Any
    ) -> sfn.CustomState:
        """Return a task that calls SageMaker, and again when it is busy."""
        return call(self.scope, id, f"{_SAGEMAKER}{operation}", arguments, retry=[_BUSY], **fields)

    def weights(self, id: str, desired: list[dict[str, Any]], **fields: Any) -> sfn.CustomState:
        """Return a task that changes weights and numbers of instances."""
        request = {"EndpointName": self.parts.endpoint, "DesiredWeightsAndCapacities": desired}
        return self.sagemaker(id, "updateEndpointWeightsAndCapacities", request, **fields)

    def configure(self, id: str, name: str, variants: str) -> sfn.CustomState:
        """Return a task that makes a configuration that differs from the live one in name and variants alone."""
        return self.sagemaker(
            id,
            "createEndpointConfig",
            f"{{% $merge([{{'EndpointConfigName': {name}, 'ProductionVariants': {variants}}}, "
            "$exists($live.KmsKeyId) ? {'KmsKeyId': $live.KmsKeyId} : {}, "
            "$exists($live.DataCaptureConfig) ? {'DataCaptureConfig': $live.DataCaptureConfig} : {}]) %}",
        )

    def update(self, id: str, config: str, *, keeps: bool = False) -> sfn.CustomState:
        """Return a task that moves the endpoint to a configuration.

        Args:
            id: Name of the state.
            config: Variable with the name of the configuration.
            keeps: Whether variants keep the weights that they have. Default: they get those of the configuration.
        """
        excluded = {} if keeps else {"ExcludeRetainedVariantProperties": [_property("DesiredWeight")]}
        return self._update(id, config, excluded)

    def update_anew(self, id: str, config: str) -> sfn.CustomState:
        """Return a task that moves the endpoint to a configuration, with the weights and instances that it says."""
        every = [_property("DesiredWeight"), _property("DesiredInstanceCount")]
        return self._update(id, config, {"ExcludeRetainedVariantProperties": every})

    def settled(
        self,
        id: str,
        then: sfn.IChainable,
        otherwise: sfn.IChainable,
        *,
        expected: str | None = None,
        because: bool = True,
    ) -> sfn.IChainable:
        """Return states that look until the endpoint is in service; the input of ``then`` is what they saw last.

        Args:
            id: What is waited for, as a part of the states' names.
            then: What follows.
            otherwise: What follows when it does not change, or cannot be seen.
            expected: Variable with the configuration that it has to have. Default: any.
            because: Whether that becomes the reason of the run's failure. Default: it does.
        """
        begin = sfn.Pass.jsonata(self.scope, f"Begin to wait: {id}", assign={"looks": 0})
        look = self.sagemaker(
            f"Look at the endpoint: {id}",
            "describeEndpoint",
            {"EndpointName": self.parts.endpoint},
            # Auto scaling takes instances from a variant whose traffic has gone, which may have to come back.
            Assign={
                "looks": "{% $looks + 1 %}",
                "instances": f"{{% $max([$instances, {_LIVE_COUNT}]) %}}",
            },
            Output={
                "status": "{% $states.result.EndpointStatus %}",
                "config": "{% $states.result.EndpointConfigName %}",
                "why": "{% $exists($states.result.FailureReason) ? $states.result.FailureReason : "
                "'it is ' & $states.result.EndpointStatus & ' with ' & $states.result.EndpointConfigName %}",
            },
        )
        look.add_catch(otherwise, errors=ANY_ERROR, assign=caught() if because else None)
        wait = sfn.Wait.jsonata(self.scope, f"Give it time: {id}", time=sfn.WaitTime.duration(_LOOKS_EVERY))
        as_expected = f" and $states.input.config = {expected}" if expected else ""
        decide = sfn.Choice.jsonata(self.scope, f"Is it in service: {id}")
        decide.when(sfn.Condition.jsonata(f"{{% $states.input.status = 'InService'{as_expected} %}}"), then)
        decide.when(
            sfn.Condition.jsonata(f"{{% $states.input.status in {_CHANGING} and $looks < {_LOOKS} %}}"), wait
        )
        decide.otherwise(self._not_changed(id, otherwise) if because else otherwise)
        begin.next(look).next(decide)
        wait.next(look)
        return begin

    def tell(self, id: str, text: str, otherwise: sfn.IChainable) -> sfn.CustomState:
        """Return a task that tells people; a run does not fail because nobody could be told (Lens: CHG-17)."""
        state = call(
            self.scope,
            id,
            "sns:publish",
            {
                "TopicArn": self.parts.topic.topic.topic_arn,
                "Subject": f"Rollout of {self.parts.endpoint}"[:100],
                "Message": text,
            },
            retry=[backing_off(ANY_ERROR)],
        )
        state.add_catch(otherwise, errors=ANY_ERROR)
        return state

    def quietly(self, id: str, operation: str, arguments: Mapping[str, Any]) -> sfn.Chain:
        """Return a task that deletes something that may not be there."""
        state = self.sagemaker(id, operation, arguments)
        passed = sfn.Pass.jsonata(self.scope, f"{id}: done")
        state.add_catch(passed, errors=ANY_ERROR)
        return state.next(passed)

    def failed(self, id: str) -> sfn.Fail:
        """Return the end of a run that fails for the reason in the variable ``failure``."""
        return sfn.Fail.jsonata(
            self.scope,
            id,
            error="{% $failure.Error %}",
            cause=f"{{% $substring($failure.Cause, 0, {LONGEST_CAUSE}) %}}",
        )

    def _not_changed(self, id: str, otherwise: sfn.IChainable) -> sfn.Pass:
        failed = refusal(
            self.scope, f"It does not change: {id}", "EndpointNotChanged", "{% $states.input.why %}"
        )
        failed.next(otherwise)
        return failed

    def _update(self, id: str, config: str, excluded: Mapping[str, Any]) -> sfn.CustomState:
        return self.sagemaker(
            id,
            "updateEndpoint",
            {
                "EndpointName": self.parts.endpoint,
                "EndpointConfigName": f"{{% {config} %}}",
                "RetainAllVariantProperties": True,
                **excluded,
            },
        )


def _property(kind: str) -> dict[str, str]:
    return {"VariantPropertyType": kind}
