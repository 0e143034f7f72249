"""What starts a workflow without anybody's doing, and where a start goes that failed."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from ml_lens.foundation.acknowledgements import acknowledge
from ml_lens.foundation.observability import quiet_alarm
from ml_lens.foundation.posture import Posture
from ml_lens.hosting.workflows import Workflow


class WorkflowStarts(Construct):
    """Starts a workflow by schedule, by objects and by other events, and keeps for fourteen days what could not start.

    EventBridge delivers at least once: the same event may start two runs.
    """

    def __init__(
        self, scope: Construct, id: str, *, posture: Posture, key: kms.IKey, workflow: Workflow
    ) -> None:
        """Create the role that starts, and the queue of what could not be started.

        Args:
            scope: Where it belongs.
            id: Its construct id.
            posture: Decides whether the queue outlives the stack.
            key: Encrypts the queue.
            workflow: What is started.
        """
        super().__init__(scope, id)
        self._workflow = workflow
        eventbridge = iam.ServicePrincipal("events.amazonaws.com")
        self._role = iam.Role(
            self, "Role", assumed_by=eventbridge, description="Starts one workflow, and may do nothing else"
        )
        # EventBridge tells KMS neither the rule nor the account; the policy of the queue names the rule.
        key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="StartsToQueues",
                principals=[eventbridge],
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=["*"],
            )
        )
        self.dead_letters = sqs.Queue(
            self,
            "DeadLetters",
            encryption_master_key=key,
            enforce_ssl=True,
            retention_period=Duration.days(14),
            removal_policy=posture.removal_policy(self),
        )
        acknowledge(
            self.dead_letters,
            "AwsSolutions-SQS3",
            "It is the dead-letter queue of rules, which AWS::Events::Rule names and AWS::SQS::Queue does not; what is "
            "in it was given up already.",
        )
        self.alarms = [
            quiet_alarm(
                self,
                "DeadLettersAlarm",
                metric=self.dead_letters.metric_approximate_number_of_messages_visible(statistic="Maximum"),
                above=0,
                because="A run could not be started. The message tells what should have started it; start it by hand.",
            )
        ]

    def on_schedule(self, id: str, schedule: events.Schedule) -> events.Rule:
        """Start a run by ``schedule``, with nothing but defaults."""
        return self._rule(id, {}, schedule=schedule)

    def on_objects(self, id: str, bucket: s3.IBucket, keys: str, given: Mapping[str, Any]) -> events.Rule:
        """Start a run for every object whose key matches ``keys``, in which a star stands for anything.

        Args:
            id: Construct id of the rule.
            bucket: Where the objects appear. It has to announce them to EventBridge.
            keys: The keys, for example ``manifests/*.json``.
            given: What the run is given.
        """
        pattern = events.EventPattern(
            source=["aws.s3"],
            detail_type=["Object Created"],
            detail={
                "bucket": {"name": [bucket.bucket_name]},
                "object": {"key": [{"wildcard": keys}]},
            },
        )
        return self._rule(id, given, event_pattern=pattern)

    def on_approved_packages(self, id: str, group: str) -> events.Rule:
        """Start a run for every model package of a group that is approved, given as ``model_package_arn``."""
        pattern = events.EventPattern(
            source=["aws.sagemaker"],
            detail_type=["SageMaker Model Package State Change"],
            detail={"ModelPackageGroupName": [group], "ModelApprovalStatus": ["Approved"]},
        )
        return self._rule(
            id,
            {"model_package_arn": events.EventField.from_path("$.detail.ModelPackageArn")},
            event_pattern=pattern,
        )

    def on_stopped_runs(self, id: str) -> events.Rule:
        """Start a run for every one that was stopped or took too long, which it is given as ``stopped``."""
        pattern = events.EventPattern(
            source=["aws.states"],
            detail_type=["Step Functions Execution Status Change"],
            detail={
                "stateMachineArn": [self._workflow.machine.state_machine_arn],
                "status": ["ABORTED", "TIMED_OUT"],
            },
        )
        return self._rule(
            id, {"stopped": events.EventField.from_path("$.detail.executionArn")}, event_pattern=pattern
        )

    def _rule(self, id: str, given: Mapping[str, Any], **when: Any) -> events.Rule:
        rule = events.Rule(self, id, **when)
        rule.add_target(
            targets.SfnStateMachine(
                self._workflow.machine,
                input=events.RuleTargetInput.from_object(dict(given)),
                role=self._role,
                dead_letter_queue=self.dead_letters,
            )
        )
        return rule
