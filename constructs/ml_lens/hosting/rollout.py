"""The lens's own way to release a model: beside the old one, step by step, and back at the first sign of trouble."""

from aws_cdk import ArnFormat, CustomResource, Duration, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from ml_lens.assets import function_code
from ml_lens.foundation.acknowledgements import acknowledge, acknowledge_wildcard
from ml_lens.foundation.function_networks import FunctionNetwork
from ml_lens.foundation.functions import PythonFunction
from ml_lens.foundation.keys import customer_key, let_log_groups_use
from ml_lens.foundation.network import MlNetwork
from ml_lens.foundation.observability import AlarmTopic
from ml_lens.foundation.posture import Posture
from ml_lens.foundation.props import checked_props
from ml_lens.foundation.storage import grant
from ml_lens.hosting.capacity import Serverless
from ml_lens.hosting.endpoint_config import VARIANT
from ml_lens.hosting.hosted_model import HostedModel
from ml_lens.hosting.model_artifacts import ModelArtifacts
from ml_lens.hosting.rollout_plan import Probes, RolloutChecks, RolloutPlan
from ml_lens.hosting.rollout_states import RolloutParts, RolloutStates
from ml_lens.hosting.workflows import Workflow, let_tell

_TO_CHANGE_AN_ENDPOINT = Duration.hours(3)
_PROBE_REACHES = (
    ec2.InterfaceVpcEndpointAwsService.SAGEMAKER_RUNTIME,
    ec2.GatewayVpcEndpointAwsService.S3,
)
_PROBING = Duration.minutes(10)
_JUDGING = Duration.minutes(1)


class Rollout(Construct):
    """Releases new versions of a model while it is in use, outside of CloudFormation.

    A run puts the candidate beside the live version, asks it what the answers to are known, moves traffic to it step
    by step, judges errors, latency and business outcomes after each, and makes it the live version. Whatever goes
    wrong, it returns all traffic and the old configuration, and fails with the reason. One run changes the endpoint
    at a time; ``records`` tells of each what it released, over what, and what became of it; ``topic`` tells people.

    Start a run with ``{"artifact": "s3://…/model.tar.gz", "version": "2.0.0"}``, and ``environment`` where the
    container needs other variables; image, network and role are those of the live model. Give every artifact a key
    of its own in ``candidates``. A run that is stopped from outside does not return by itself: its lock tells of it
    until its time is over, and the alarm does at once.

    The template still names the version it deployed. A later deployment that changes the model replaces what a
    rollout has released, with the guardrails of ``HostedModel``.

    Lens: HST-01, F8-02, F8-03, F8-04, F8-05, F8-06, F8-07, F9-01, F9-02, F9-03, F9-04, F10-01, F10-02, F10-03, F10-04,
    CHG-01, CHG-05, CHG-08, CHG-12, CHG-17, CHG-18, CHG-19.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        posture: Posture,
        model: HostedModel,
        plan: RolloutPlan,
        checks: RolloutChecks,
        probes: Probes,
        network: MlNetwork,
        candidates: ModelArtifacts | None = None,
    ) -> None:
        """Create the state machine and what it needs.

        Args:
            scope: Where the rollout belongs.
            id: Its construct id.
            posture: Decides what outlives the stack.
            model: The endpoint whose model is replaced. It has one variant, on instances.
            plan: The steps in which traffic moves.
            checks: What a candidate has to keep to.
            probes: Requests with known answers.
            network: Where the function runs that asks the probes.
            candidates: Where the artifacts of candidates are put. Default: a new bucket, access to which is not
                recorded here, so that the finding AwsSolutions-S1 stands.

        Raises:
            PropError: A number is out of range, the probes are missing, or ``model`` cannot be changed in this way.
        """
        with checked_props(self, id) as props:
            checks.check(props)
            probes.check(props)
            props.require(
                model.variants == (VARIANT,),
                "model",
                f"has the variants {', '.join(model.variants)}; a rollout replaces the only one of an endpoint",
            )
            props.require(
                not isinstance(model.capacity, Serverless),
                "model",
                "is serverless, which has no second variant; replace it by HostedModel(deployment=…)",
            )
        super().__init__(scope, id)
        self._posture, self._model = posture, model
        self.key = customer_key(self, "Key", posture=posture, purpose="records and logs of rollouts")
        let_log_groups_use(self.key)
        self.prefix = f"{model.endpoint_name[:40]}-rollout-"
        """What the names of models and configurations begin with that runs make."""
        self.candidates = candidates or ModelArtifacts(self, "Candidates", posture=posture)
        """Where the artifacts of candidates are put."""
        self.candidates.grant_serve(model.role)
        self.topic = AlarmTopic(self, "News", posture=posture)
        """Tells of every version that was released or sent back."""
        self.records = self._records()
        """What was released, when, over what, and what became of it."""
        self.probe = self._probe(checks, probes, network)
        self.judge = self._judge(checks)
        self._forgotten()
        waits = sum(wait.to_seconds() for _, wait in plan.steps)
        lasts = Duration.seconds(4 * waits + _TO_CHANGE_AN_ENDPOINT.to_seconds())
        states = RolloutStates(
            Construct(self, "States"),
            RolloutParts(
                endpoint=model.endpoint_name,
                prefix=self.prefix,
                plan=plan,
                probe=self.probe,
                judge=self.judge,
                table=self.records.table_name,
                topic=self.topic.topic.topic_arn,
                lasts_at_most=lasts,
            ),
        )
        self.workflow = Workflow(
            self,
            "Workflow",
            posture=posture,
            key=self.key,
            start=states.start,
            time_limit=lasts,
            what="A rollout",
        )
        self._let_change()
        self.alarms = [*self.workflow.alarms, *self.probe.alarms, *self.judge.alarms]
        """Tell of runs that did not release anything, and of failing functions."""

    def grant_start(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` start rollouts, and neither publish candidates nor touch the endpoint (Lens: IAM-02)."""
        return self.workflow.grant_start(grantee)

    def _records(self) -> dynamodb.Table:
        table = dynamodb.Table(
            self,
            "Records",
            partition_key=dynamodb.Attribute(name="endpoint", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="record", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=self.key,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=not self._posture.removes_data(self),
            removal_policy=self._posture.removal_policy(self),
        )
        resource = table.node.default_child
        assert isinstance(resource, dynamodb.CfnTable)  # noqa: S101  (for the type checker)
        resource.add_metadata("MLLens", {"Role": "manifest"})
        if self._posture.removes_data(self):
            acknowledge(
                table,
                "MLLens::MLLens-REL05-ManifestStoreDurable",
                "A protected table cannot be deleted by CloudFormation, and a sandbox goes with all it holds; in "
                "production the records are protected and stay.",
            )
        return table

    def _probe(self, checks: RolloutChecks, probes: Probes, network: MlNetwork) -> PythonFunction:
        made = PythonFunction(
            self,
            "Probe",
            posture=self._posture,
            code=function_code("rollout_probe"),
            log_key=self.key,
            timeout=_PROBING,
            environment={
                "LATENCY_MS": str(checks.latency_slo.to_milliseconds()),
                "LEAST_ACCURACY": str(checks.least_accuracy),
                "ACCURACY_LOSS": str(checks.accuracy_loss),
            },
            network=FunctionNetwork(network=network, reaches=_PROBE_REACHES),
        )
        for name, value in probes.bind(self, made.role).items():
            made.function.add_environment(name, value)
        self._model.grant_invoke(made.role)
        return made

    def _judge(self, checks: RolloutChecks) -> PythonFunction:
        outcomes = checks.outcomes
        made = PythonFunction(
            self,
            "Judge",
            posture=self._posture,
            code=function_code("rollout_judge"),
            log_key=self.key,
            timeout=_JUDGING,
            environment={
                "LATENCY_MS": str(checks.latency_slo.to_milliseconds()),
                "ERROR_PERCENT": str(checks.error_percent),
                "LEAST_CALLS": str(checks.least_calls),
                "LEAST_OUTCOMES": str(checks.least_outcomes),
                "OUTCOME_LOSS": str(checks.outcome_loss),
                **({"OUTCOMES_TABLE": outcomes.table.table_name} if outcomes else {}),
            },
        )
        made.role.add_to_policy(iam.PolicyStatement(actions=["cloudwatch:GetMetricData"], resources=["*"]))
        acknowledge(
            made.role,
            "AwsSolutions-IAM5[Resource::*]",
            "cloudwatch:GetMetricData, xray:PutTraceSegments and xray:PutTelemetryRecords have no resource type: "
            "CloudWatch and X-Ray accept no resource for them but the star.",
        )
        if outcomes is not None:
            outcomes.grant_read_summary(made.role)
        return made

    def _forgotten(self) -> None:
        """Delete what runs have made when the stack is deleted."""
        made = PythonFunction(
            self,
            "Forget",
            posture=self._posture,
            code=function_code("forget_rollouts"),
            log_key=self.key,
            timeout=Duration.minutes(5),
            # It runs while the stack is deleted: an error fails the deletion before the eyes of who asked for it.
            watched=False,
        )
        made.role.add_to_policy(
            iam.PolicyStatement(
                actions=["sagemaker:ListEndpointConfigs", "sagemaker:ListModels"], resources=["*"]
            )
        )
        acknowledge(
            made.role,
            "AwsSolutions-IAM5[Resource::*]",
            "sagemaker:ListEndpointConfigs, sagemaker:ListModels, xray:PutTraceSegments and "
            "xray:PutTelemetryRecords have no resource type: the services accept no resource for them but the star.",
        )
        self._grant_own(made.role, "endpoint-config", "sagemaker:DeleteEndpointConfig")
        self._grant_own(made.role, "model", "sagemaker:DeleteModel")
        forgotten = CustomResource(
            self,
            "Forgotten",
            resource_type="Custom::ForgottenRollouts",
            service_token=made.function.function_arn,
            properties={"Prefix": self.prefix},
        )
        forgotten.node.add_dependency(made.role)
        # Deleted after the endpoint, which may serve one of them.
        self._model.endpoint.node.add_dependency(forgotten)

    def _let_change(self) -> None:
        """Give the state machine its rights."""
        role, endpoint = self.workflow.role, self._model.endpoint.ref
        self.workflow.may_call(self.probe, self.judge)
        let_tell(role, self.topic)
        grant(
            role,
            [
                "sagemaker:DescribeEndpoint",
                "sagemaker:UpdateEndpoint",
                "sagemaker:UpdateEndpointWeightsAndCapacities",
            ],
            endpoint,
        )
        for kind, described, own in (
            (
                "endpoint-config",
                ["DescribeEndpointConfig", "UpdateEndpoint"],
                ["CreateEndpointConfig", "DeleteEndpointConfig"],
            ),
            ("model", ["DescribeModel"], ["CreateModel", "DeleteModel"]),
        ):
            every = self._arn(kind, "*")
            acknowledge_wildcard(
                role,
                every,
                "SageMaker names the model and the configuration that CloudFormation makes, and makes new names with "
                "every change of the template.",
            )
            grant(role, [f"sagemaker:{action}" for action in described], every)
            self._grant_own(role, kind, *(f"sagemaker:{action}" for action in [*own, "AddTags"]))
        role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[self._model.role.role_arn],
                conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            )
        )
        grant(
            role,
            ["dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
            self.records.table_arn,
        )
        grant(role, ["kms:Decrypt"], self.key.key_arn)

    def _grant_own(self, role: iam.IRole, kind: str, *actions: str) -> None:
        own = self._arn(kind, f"{self.prefix}*")
        acknowledge_wildcard(
            role,
            own,
            "A rollout names what it makes after itself; the star stands for the names of one endpoint.",
        )
        grant(role, list(actions), own)

    def _arn(self, kind: str, name: str) -> str:
        return Stack.of(self).format_arn(
            service="sagemaker", resource=kind, resource_name=name, arn_format=ArnFormat.SLASH_RESOURCE_NAME
        )
