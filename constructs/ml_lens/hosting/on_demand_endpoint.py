"""An endpoint that exists while it is needed."""

from aws_cdk import Duration, Names, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
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
from ml_lens.foundation.storage import DerivedDataBucket, grant
from ml_lens.hosting.artifacts import ServedModel
from ml_lens.hosting.batch_options import BatchSource
from ml_lens.hosting.captures import CAPTURE_PREFIX
from ml_lens.hosting.endpoint_config import Recording, endpoint_config
from ml_lens.hosting.endpoint_models import endpoint_model
from ml_lens.hosting.endpoint_reaping import EndpointReaper, let_handle_logs
from ml_lens.hosting.execution_role import (
    execution_role,
    let_connect,
    let_start_volumes_under,
    let_use_volumes_under,
)
from ml_lens.hosting.networks import EndpointNetwork
from ml_lens.hosting.on_demand_options import OnDemandFleet
from ml_lens.hosting.on_demand_workflow import OnDemandPlan, on_demand_states
from ml_lens.hosting.starts import WorkflowStarts
from ml_lens.hosting.workflows import Workflow, let_tell, retention_days

_LONGEST_NAME = 40
_REACHES = (ec2.GatewayVpcEndpointAwsService.S3, ec2.InterfaceVpcEndpointAwsService.SAGEMAKER_RUNTIME)


class OnDemandEndpoint(Construct):
    """Creates an endpoint, asks it about every record of a source, and deletes it.

    What is needed for an hour a day costs an hour a day. Model and endpoint configuration are there all the time and
    cost nothing. A state machine creates an endpoint with a name of its own, waits for it, and lets functions in the
    private network ask it; whatever happens on the way, the endpoint is deleted. Runs that are stopped or take too long
    cannot delete anything any more: a reaper does it for them. Runs that fail are told with their reason to ``topic``.

    Start it by hand with ``{}`` for the whole source, or ``{"prefix": "batches/2026-11/"}`` for a part of it, or by
    :meth:`start_on_schedule`. A record that the model refuses is answered with ``{"refused": …}``, and counted.

    Take it for records that only an endpoint can answer, such as those of a container that knows no batches; for the
    rest, ``BatchInference`` has fewer parts.

    Lens: ODE-01, ODE-02, CIN-01.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        posture: Posture,
        model: ServedModel,
        network: MlNetwork,
        source: BatchSource,
        fleet: OnDemandFleet | None = None,
        results: DerivedDataBucket | None = None,
        topic: AlarmTopic | None = None,
    ) -> None:
        """Create model and endpoint configuration, the state machine, and the reaper.

        Args:
            scope: Where it belongs.
            id: Its construct id.
            posture: Decides what outlives the stack and how long logs are kept.
            model: The artifact, and the image that serves it.
            network: Where endpoint and functions run.
            source: The records.
            fleet: What the endpoint runs on. Default: ``OnDemandFleet()``.
            results: Takes results below ``predictions/``. Default: a new bucket with a key of its own.
            topic: Is told of runs that fail. Default: a new one.

        Raises:
            PropError: SageMaker would refuse the endpoint.
        """
        fleet = fleet or OnDemandFleet()
        with checked_props(self, id) as props:
            model.check(props, scope, on_arm=fleet.size.has_arm)
            source.check(props)
            fleet.check(props)
        super().__init__(scope, id)
        self._posture = posture
        self._starts: WorkflowStarts | None = None
        self.key = customer_key(
            self, "Key", posture=posture, purpose="volumes and logs of endpoints on demand"
        )
        let_log_groups_use(self.key)
        self.results = results or DerivedDataBucket(self, "Results", posture=posture)
        """Holds results."""
        self.topic = topic or AlarmTopic(self, "Topic", posture=posture)
        """Is told of runs that fail, with the reason."""
        self.endpoint_prefix = Names.unique_resource_name(
            self, separator="-", max_length=_LONGEST_NAME
        ).lower()
        """What the names of its endpoints begin with, up to a dash."""
        self._predictions = f"predictions/{self.endpoint_prefix}/"
        self.role = self._execution_role()
        self.config = self._config(model, EndpointNetwork.within(network), fleet)
        """The configuration of every endpoint; it costs nothing between runs."""
        self.predict = self._predict(network, source, fleet)
        plan = OnDemandPlan(
            name=self.endpoint_prefix,
            config_name=self.config.attr_endpoint_config_name,
            model_version=model.version,
            source=source,
            results=f"s3://{self.results.bucket.bucket_name}/{self._predictions}",
            shares=fleet.shares,
            log_key=self.key,
            log_days=retention_days(self.predict.log_group),
        )
        self.workflow = Workflow(
            self,
            "Workflow",
            posture=posture,
            key=self.key,
            start=on_demand_states(Construct(self, "States"), plan, predict=self.predict, topic=self.topic),
            time_limit=fleet.time_limit,
            what="A run of predictions on demand",
            declared="on-demand",
        )
        self.workflow.may_call(self.predict)
        self._let_run(has_volumes=self.config.kms_key_id is not None)
        self.workflow.node.add_dependency(network)
        self.reaper = EndpointReaper(
            self,
            "Reaper",
            posture=posture,
            key=self.key,
            workflow=self.workflow,
            prefix=self.endpoint_prefix,
            log_days=plan.log_days,
            max_age=fleet.time_limit.plus(Duration.hours(1)),
        )
        self.alarms = [*self.workflow.alarms, *self.predict.alarms, *self.reaper.alarms]
        """Tell of runs that failed or were stopped, and of what the reaper had to do."""

    @property
    def state_machine_arn(self) -> str:
        """ARN of the state machine."""
        return self.workflow.machine.state_machine_arn

    def grant_start(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` start runs, and do nothing else."""
        return self.workflow.grant_start(grantee)

    def start_on_schedule(self, id: str, schedule: events.Schedule) -> events.Rule:
        """Work the whole source off by ``schedule``."""
        if self._starts is None:
            self._starts = WorkflowStarts(
                self, "Starts", posture=self._posture, key=self.key, workflow=self.workflow
            )
            self.alarms += self._starts.alarms
        return self._starts.on_schedule(id, schedule)

    def _execution_role(self) -> iam.Role:
        role = execution_role(self, "Role", connects=True)
        let_handle_logs(
            role,
            ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            self.endpoint_prefix,
        )
        return role

    def _config(
        self, model: ServedModel, network: EndpointNetwork, fleet: OnDemandFleet
    ) -> sagemaker.CfnEndpointConfig:
        recording = Recording(
            bucket=self.results, prefix=f"{CAPTURE_PREFIX}{self.endpoint_prefix}/", percent=100
        )
        self.results.grant_add_in_parts(self.role, recording.prefix)
        let_connect(self.role, network)
        config = endpoint_config(
            self,
            model=endpoint_model(self, role=self.role, served=model, network=network),
            size=fleet.size,
            key=self.key,
            recording=recording,
        )
        if fleet.instances == 1:
            acknowledge(
                config,
                "MLLens::MLLens-REL03-EndpointMultiAz[count]",
                "An endpoint for one run serves nobody who waits: when its only instance is lost, the run fails, is "
                "told, and is started again. ProductionVariants has no way to say that.",
            )
        if config.kms_key_id:
            let_use_volumes_under(self.key, self.role)
        return config

    def _predict(self, network: MlNetwork, source: BatchSource, fleet: OnDemandFleet) -> PythonFunction:
        made = PythonFunction(
            self,
            "Predict",
            posture=self._posture,
            code=function_code("predict_objects"),
            log_key=self.key,
            timeout=Duration.minutes(15),
            memory_mib=1024,
            network=FunctionNetwork(network=network, reaches=_REACHES),
            environment={
                "SOURCE_BUCKET": source.bucket.bucket_name,
                "SOURCE_PREFIX": source.prefix,
                "RESULTS_BUCKET": self.results.bucket.bucket_name,
                "PREDICTIONS": self._predictions,
                "CONTENT_TYPE": source.content_type,
                "ACCEPT": fleet.accept or "",
                "BY_LINE": "true" if source.by_line else "false",
                "PARALLEL_CALLS": str(fleet.calls_at_once),
            },
        )
        source.grant_read(made.role)
        self.results.grant_add(made.role, self._predictions)
        self._grant_endpoints(made.role, ["sagemaker:InvokeEndpoint"])
        return made

    def _let_run(self, *, has_volumes: bool) -> None:
        role = self.workflow.role
        self._grant_endpoints(
            role,
            [
                "sagemaker:AddTags",
                "sagemaker:CreateEndpoint",
                "sagemaker:DeleteEndpoint",
                "sagemaker:DescribeEndpoint",
            ],
        )
        grant(role, ["sagemaker:CreateEndpoint"], self.config.ref)
        let_handle_logs(role, ["logs:CreateLogGroup", "logs:PutRetentionPolicy"], self.endpoint_prefix)
        if has_volumes:
            let_start_volumes_under(self.key, role)
        let_tell(role, self.topic)

    def _grant_endpoints(self, grantee: iam.IRole, actions: list[str]) -> None:
        endpoints = Stack.of(self).format_arn(
            service="sagemaker", resource="endpoint", resource_name=f"{self.endpoint_prefix}-*"
        )
        acknowledge_wildcard(
            grantee,
            endpoints,
            "Every run makes an endpoint of its own, whose name begins with this construct's; the star stands for the "
            "rest of it.",
        )
        iam.Grant.add_to_principal(grantee=grantee, actions=actions, resource_arns=[endpoints])
