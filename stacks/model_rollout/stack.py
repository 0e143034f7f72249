"""The wiring of figures 8 to 11: an endpoint, a way for CloudFormation to replace its model, and one for releases."""

import tempfile
from pathlib import Path

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from ml_lens.foundation import AlarmTopic, AuditTrail, MlNetwork, Posture
from ml_lens.hosting import (
    DataCapture,
    EndpointNetwork,
    HostedModel,
    Instances,
    ModelArtifacts,
    Outcomes,
    Probes,
    Rollout,
    RolloutChecks,
)
from stacks.churn_model import churn_model
from stacks.hosting_findings import answer_findings, cost_tags
from stacks.model_rollout.samples import probes
from stacks.model_rollout.settings import ModelRolloutSettings
from stacks.model_rollout.strategies import deployment, plan


class ModelRolloutStack(Stack):
    """One endpoint, two versions of its model, and no request lost between them."""

    def __init__(
        self, scope: Construct, id: str, *, posture: Posture, settings: ModelRolloutSettings
    ) -> None:
        """Wire the scenario.

        Raises:
            PropError: A setting cannot be used.
        """
        super().__init__(
            scope,
            id,
            description="ML Lens: deployment strategies (figures 8 to 11)",
            tags=cost_tags(posture, project=id, owner=settings.owner),
        )
        network = MlNetwork(self, "Network", posture=posture)
        audit = AuditTrail(self, "Audit", posture=posture)
        latency_slo = Duration.millis(settings.latency_slo_ms)
        model = HostedModel(
            self,
            "Churn",
            posture=posture,
            model=churn_model(self, settings.version),
            network=EndpointNetwork.within(network),
            capacity=Instances(least=2),
            deployment=deployment(id, settings),
            latency_slo=latency_slo,
            capture=DataCapture(audit=audit),
        )
        answer_findings(model, posture)
        outcomes = Outcomes(self, "Outcomes", posture=posture)
        rollout = Rollout(
            self,
            "Rollout",
            posture=posture,
            model=model,
            plan=plan(settings),
            checks=RolloutChecks(
                latency_slo=latency_slo,
                least_calls=settings.least_calls,
                least_outcomes=settings.least_outcomes,
                least_accuracy=0.8,
                accuracy_loss=0.05,
                outcomes=outcomes,
            ),
            probes=_probes(),
            network=network,
            candidates=ModelArtifacts(self, "Candidates", posture=posture, audit=audit),
        )
        consumers = iam.Role(self, "Consumers", assumed_by=_who(self, settings.consumer_principal_arn))
        model.grant_invoke(consumers)
        outcomes.grant_report(consumers)
        releasers = iam.Role(self, "Releasers", assumed_by=_who(self, settings.releaser_principal_arn))
        rollout.grant_start(releasers)
        publishers = iam.Role(self, "Publishers", assumed_by=_who(self, settings.publisher_principal_arn))
        rollout.candidates.grant_publish(publishers)
        alarms = AlarmTopic(self, "Alarms", posture=posture)
        alarms.tell_of([*model.alarms, *outcomes.alarms, *rollout.alarms])

        self._tell(
            EndpointName=model.endpoint_name,
            RolloutMachine=rollout.workflow.machine.state_machine_arn,
            CandidateBucket=rollout.candidates.bucket.bucket_name,
            Records=rollout.records.table_name,
            OutcomeQueue=outcomes.queue.queue.queue_url,
            ConsumerRole=consumers.role_arn,
            ReleaserRole=releasers.role_arn,
            PublisherRole=publishers.role_arn,
            News=rollout.topic.topic.topic_arn,
            AlarmTopic=alarms.topic.topic_arn,
        )

    def _tell(self, **outputs: str) -> None:
        for name, value in outputs.items():
            CfnOutput(self, name, value=value)


def _probes() -> Probes:
    file = Path(tempfile.gettempdir()) / "ml-lens-churn-probes.jsonl"
    file.write_text(probes(), encoding="utf-8")
    return Probes.from_file(file)


def _who(stack: Stack, principal_arn: str | None) -> iam.IPrincipal:
    return iam.ArnPrincipal(principal_arn) if principal_arn else iam.AccountPrincipal(stack.account)
