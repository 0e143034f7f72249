"""How much load an endpoint takes."""

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from ml_lens.assets import function_code
from ml_lens.foundation.function_networks import FunctionNetwork
from ml_lens.foundation.functions import PythonFunction
from ml_lens.foundation.keys import customer_key, let_log_groups_use
from ml_lens.foundation.network import MlNetwork
from ml_lens.foundation.posture import Posture
from ml_lens.foundation.props import checked_props
from ml_lens.foundation.storage import DerivedDataBucket, grant
from ml_lens.hosting.hosted_model import HostedModel
from ml_lens.hosting.load_options import LoadPayloads, LoadPlan
from ml_lens.hosting.load_workflow import LoadedEndpoint, load_states
from ml_lens.hosting.workflows import Workflow

REPORTS_PREFIX = "load-tests/"
"""Where reports go in their bucket."""
_REACHES = (ec2.GatewayVpcEndpointAwsService.S3, ec2.InterfaceVpcEndpointAwsService.SAGEMAKER_RUNTIME)


class LoadTest(Construct):
    """Drives an endpoint with ever more requests at a time, and reports how many it takes.

    Start it by hand with ``{}``. A state machine raises the load level by level; functions in the private network send
    the requests, and every level is summed up before the next. It ends with the plan, when too many calls fail, or when
    an alarm of the endpoint goes off. The report says how many calls a second one instance answers within the limits,
    the percentiles of the latency by level, at which level what breaks, and the ``calls_per_minute`` to give to
    ``Instances``. It is written as JSON and as Markdown.

    It measures instances, not scaling: give the endpoint under test ``most`` equal to ``least`` to measure one size.

    Lens: SCL-02, SCL-03, SCL-11.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        posture: Posture,
        model: HostedModel,
        network: MlNetwork,
        payloads: LoadPayloads,
        plan: LoadPlan | None = None,
        results: DerivedDataBucket | None = None,
        stop_on: Sequence[cloudwatch.IAlarm] | None = None,
    ) -> None:
        """Create the state machine and its functions.

        Args:
            scope: Where it belongs.
            id: Its construct id.
            posture: That of the endpoint; one in production is driven only if ``plan`` says so.
            model: The endpoint.
            network: From where the requests are sent.
            payloads: The requests.
            plan: How the load rises. Default: ``LoadPlan()``.
            results: Takes reports below ``load-tests/``. Default: a new bucket with a key of its own.
            stop_on: Alarms that end the test, up to a hundred. Default: those of the endpoint.

        Raises:
            PropError: The endpoint is in production, there are no requests, or the plan does not rise.
        """
        plan = plan or LoadPlan()
        alarms = list(model.alarms if stop_on is None else stop_on)
        with checked_props(self, id) as props:
            plan.check(props, posture)
            payloads.check(props)
            props.whole_number(
                "stop_on",
                len(alarms),
                low=0,
                high=100,
                unit="alarms",
                way_out="combine them to a composite alarm",
            )
        super().__init__(scope, id)
        self.key = customer_key(self, "Key", posture=posture, purpose="logs of a load test")
        let_log_groups_use(self.key)
        self.results = results or DerivedDataBucket(self, "Results", posture=posture)
        """Holds reports."""
        self._posture = posture
        self.worker = self._worker(model, network, payloads, plan)
        self.report = self._report(model, plan)
        endpoint = LoadedEndpoint(name=model.endpoint_name, alarms=alarms)
        self.workflow = Workflow(
            self,
            "Workflow",
            posture=posture,
            key=self.key,
            start=load_states(
                Construct(self, "States"), plan, endpoint, worker=self.worker, report=self.report
            ),
            time_limit=plan.time_limit,
            what="A load test",
            # By name as well, CloudWatch tells of alarms only who may ask for all, and of composite ones by a star.
            looks_at=["cloudwatch:DescribeAlarms"] if alarms else [],
        )
        self.workflow.may_call(self.worker, self.report)
        grant(self.workflow.role, ["sagemaker:DescribeEndpoint"], model.endpoint.ref)
        self.alarms = [*self.workflow.alarms, *self.worker.alarms, *self.report.alarms]
        """Tell of tests that failed."""

    @property
    def state_machine_arn(self) -> str:
        """ARN of the state machine."""
        return self.workflow.machine.state_machine_arn

    def grant_start(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` start tests, and do nothing else."""
        return self.workflow.grant_start(grantee)

    def _worker(
        self, model: HostedModel, network: MlNetwork, payloads: LoadPayloads, plan: LoadPlan
    ) -> PythonFunction:
        stored = payloads.bind(self)
        made = PythonFunction(
            self,
            "Worker",
            posture=self._posture,
            code=function_code("load_worker"),
            log_key=self.key,
            timeout=Duration.seconds(plan.seconds + plan.warm_up_seconds + 120),
            # One whole processor: a worker that waits for its own would measure itself.
            memory_mib=1769,
            network=FunctionNetwork(network=network, reaches=_REACHES),
            environment={
                "ENDPOINT_NAME": model.endpoint_name,
                "PAYLOAD_BUCKET": stored.bucket.bucket_name,
                "PAYLOAD_KEY": stored.key,
                "CONTENT_TYPE": payloads.content_type,
                "SECONDS": str(plan.seconds),
                "WARM_UP_SECONDS": str(plan.warm_up_seconds),
            },
        )
        stored.grant_read(made.role)
        model.grant_invoke(made.role)
        return made

    def _report(self, model: HostedModel, plan: LoadPlan) -> PythonFunction:
        prefix = f"{REPORTS_PREFIX}{model.endpoint_name}/"
        made = PythonFunction(
            self,
            "Report",
            posture=self._posture,
            code=function_code("load_report"),
            log_key=self.key,
            timeout=Duration.minutes(1),
            environment={
                "RESULTS_BUCKET": self.results.bucket.bucket_name,
                "PREFIX": prefix,
                "ENDPOINT_NAME": model.endpoint_name,
                "SLO_MS": str(plan.promised.to_milliseconds()),
                "ERROR_BUDGET_PERCENT": str(plan.error_budget_percent),
                "STOP_PERCENT": str(plan.stop_percent),
                "HEADROOM_PERCENT": str(plan.headroom_percent),
            },
        )
        self.results.grant_add(made.role, prefix)
        return made
