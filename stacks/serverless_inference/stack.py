"""The wiring of figure 14: consumers, an API, a function, an endpoint."""

import json
from collections.abc import Mapping
from typing import Any

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from ml_lens.assets import job_code
from ml_lens.foundation import AlarmTopic, AuditTrail, MlNetwork, Posture
from ml_lens.hosting import (
    ApiAccess,
    ApiOptions,
    ApiReach,
    DataCapture,
    EndpointNetwork,
    HostedModel,
    InferenceApi,
    Instances,
    Throttle,
)
from stacks.churn_model import churn_model
from stacks.hosting_findings import answer_findings, cost_tags
from stacks.serverless_inference.settings import ServerlessInferenceSettings


class ServerlessInferenceStack(Stack):
    """Who will leave, asked over HTTPS by those who may."""

    def __init__(
        self, scope: Construct, id: str, *, posture: Posture, settings: ServerlessInferenceSettings
    ) -> None:
        """Wire the scenario.

        Raises:
            PropError: A setting cannot be used.
        """
        super().__init__(
            scope,
            id,
            description="ML Lens: serverless inference (figure 14)",
            tags=cost_tags(posture, project=id, owner=settings.owner),
        )

        network = MlNetwork(self, "Network", posture=posture)
        audit = AuditTrail(self, "Audit", posture=posture)
        model = HostedModel(
            self,
            "Churn",
            posture=posture,
            model=churn_model(self, settings.version),
            network=EndpointNetwork.within(network),
            capacity=_capacity(settings),
            latency_slo=Duration.millis(settings.latency_slo_ms),
            capture=DataCapture(audit=audit),
        )
        answer_findings(model, posture)
        api = InferenceApi(
            self,
            "Predictions",
            posture=posture,
            model=model,
            network=network,
            request_schema=_request_schema(),
            access=ApiAccess.iam(),
            throttle=Throttle(rate=settings.calls_per_second, burst=settings.calls_at_once),
            options=ApiOptions(
                reach=ApiReach.internet(ip_ranges=settings.ip_ranges),
                web_acl_arn=settings.web_acl_arn,
                account_logging=settings.account_logging,
            ),
        )
        consumers = iam.Role(self, "Consumers", assumed_by=_who(self, settings.consumer_principal_arn))
        api.grant_invoke(consumers)
        alarms = AlarmTopic(self, "Alarms", posture=posture)
        alarms.tell_of([*model.alarms, *api.alarms])

        assert model.captured is not None  # noqa: S101  (for the type checker)
        self._tell(
            PredictionsUrl=api.url,
            ConsumerRole=consumers.role_arn,
            EndpointName=model.endpoint_name,
            ModelVersion=settings.version,
            CapturedCalls=model.captured.bucket.bucket_name,
            FunctionLogs=api.function.log_group.log_group_name,
            EndpointLogs=model.log_group.log_group_name,
            CallsAtOnce=str(settings.calls_at_once),
            AlarmTopic=alarms.topic.topic_arn,
        )

    def _tell(self, **outputs: str) -> None:
        for name, value in outputs.items():
            CfnOutput(self, name, value=value)


def _request_schema() -> Mapping[str, Any]:
    schema: Mapping[str, Any] = json.loads((job_code("churn") / "features.json").read_text(encoding="utf-8"))
    return schema


def _capacity(settings: ServerlessInferenceSettings) -> Instances:
    return Instances(
        type=settings.instance_type, least=settings.least_instances, most=settings.most_instances
    )


def _who(stack: Stack, principal_arn: str | None) -> iam.IPrincipal:
    return iam.ArnPrincipal(principal_arn) if principal_arn else iam.AccountPrincipal(stack.account)
