"""A model that answers calls."""

from aws_cdk import CfnTag, Duration, Names
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from ml_lens.foundation.keys import customer_key, let_log_groups_use
from ml_lens.foundation.log_groups import kept_log_group
from ml_lens.foundation.posture import Posture
from ml_lens.foundation.props import PropChecks, checked_props
from ml_lens.foundation.storage import DerivedDataBucket, grant
from ml_lens.hosting.artifacts import VERSION_TAG, ServedModel
from ml_lens.hosting.capacity import Instances, Serverless, Sizing, check_instances, check_serverless
from ml_lens.hosting.captures import CAPTURE_PREFIX, DataCapture
from ml_lens.hosting.deployments import Deployment
from ml_lens.hosting.endpoint_config import VARIANT, Recording, endpoint_config
from ml_lens.hosting.endpoint_scaling import scale_by_calls
from ml_lens.hosting.endpoint_watch import (
    EndpointMetrics,
    answer_alarms,
    caller_alarm,
    dashboard,
    instance_alarms,
    serverless_alarms,
)
from ml_lens.hosting.execution_role import execution_role, let_connect, let_use_volumes_under
from ml_lens.hosting.networks import EndpointNetwork

_LONGEST_NAME = 63
_LONGEST_ANSWER = Duration.seconds(60)


class HostedModel(Construct):
    """Serves a model over HTTPS, to those who were granted it.

    The container runs in your network and can make no calls of its own. Volumes, logs and captured calls are encrypted
    with customer keys. The role of the endpoint reads its artifact, pulls its image and stores captured calls, and does
    nothing else. Instances scale with the load. ``alarms`` watch errors, latency, and the CPU, memory and disk of the
    instances, but no GPUs; those on errors and latency roll a bad deployment back. Change ``model``, and the endpoint
    takes the new version in the way that ``deployment`` says, under the same name.

    The endpoint has a name of its own: its log group is called after it, and has to exist before it, or SageMaker
    makes one without key and retention; and the alarms that roll back its deployments have to know it before it
    exists. In production the log group outlives the stack: delete or import it before a stack of the same name is
    made again.

    An alarm on errors or latency that is on already rolls every update back, the one that would mend the endpoint as
    well: mend it with ``Deployment.standard()``.

    Lens: F8-06, F8-07, F9-02, F9-06, HST-02, HST-04, HST-05, IAM-05, IAM-06, LOG-02, LOG-03, MDL-01, MDL-04, MDL-05,
    MDL-06, MDL-08, MON-02, MON-03, SCL-01, SCL-04, SCL-05, SCL-09, STD-01, STD-02, STD-03.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        posture: Posture,
        model: ServedModel,
        network: EndpointNetwork | None = None,
        capacity: Instances | Serverless | None = None,
        deployment: Deployment | None = None,
        latency_slo: Duration | None = None,
        capture: DataCapture | None = None,
    ) -> None:
        """Create model, endpoint configuration and endpoint, and what watches and scales them.

        Args:
            scope: Where the endpoint belongs.
            id: Its construct id.
            posture: Decides how many instances run at the least, and what outlives the stack.
            model: The artifact, and the image that serves it.
            network: Where it runs. Required, unless ``capacity`` is ``Serverless``.
            capacity: What it runs on. Default: ``Instances()``.
            deployment: How a new version takes over. Default: ``Deployment.standard()`` in a sandbox,
                ``Deployment.blue_green()`` in production.
            latency_slo: Time within which the model answers 99 of 100 calls, one millisecond to one minute. Default:
                one second.
            capture: What is recorded of the calls. Default: everything, or nothing for ``Serverless``.

        Raises:
            PropError: A number is out of range, there is no network, or ``capacity``, ``deployment`` and ``capture`` do
                not go together.
        """
        capacity = capacity or Instances()
        deployment = deployment or (Deployment.blue_green() if posture.keeps_data else Deployment.standard())
        latency_slo = latency_slo or Duration.seconds(1)
        if capture is None:
            capture = DataCapture.off() if isinstance(capacity, Serverless) else DataCapture()
        with checked_props(self, id) as props:
            on_arm = isinstance(capacity, Instances) and capacity.completed(posture).has_arm
            model.check(props, scope, on_arm=on_arm)
            _check_latency(props, latency_slo)
            capture.check(props)
            if isinstance(capacity, Serverless):
                check_serverless(
                    props, capacity, deployment, networked=network is not None, recorded=capture.enabled
                )
            else:
                check_instances(props, capacity, posture, deployment)
                _check_network(props, network, posture)
        super().__init__(scope, id)
        self._posture = posture
        self.model_version = model.version
        """The version that the template deploys."""
        self.variants: tuple[str, ...] = (VARIANT,)
        """Names of the production variants."""
        self.capacity = capacity
        """What it runs on."""
        self.network = network
        """Where it runs; ``None`` for ``Serverless``."""
        name = Names.unique_resource_name(self, separator="-", max_length=_LONGEST_NAME)
        # In the ARN of an endpoint SageMaker writes its name in small letters, and IAM compares letter by letter.
        self.endpoint_name = name.lower()
        """Name of the endpoint: what callers give."""
        self.key = customer_key(self, "Key", posture=posture, purpose="volumes and logs of an endpoint")
        let_log_groups_use(self.key)
        self.log_group = kept_log_group(
            self, posture=posture, key=self.key, name=f"/aws/sagemaker/Endpoints/{self.endpoint_name}"
        )
        self.role = execution_role(self, "Role", connects=network is not None)
        self.log_group.grant(
            self.role, "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"
        )
        size = capacity if isinstance(capacity, Serverless) else capacity.completed(posture)
        recording = self._recording(capture)
        self.captured = recording.bucket if recording else None
        """Holds captured calls; ``None`` when nothing is recorded."""
        self._metrics = EndpointMetrics(endpoint_name=self.endpoint_name, variant=VARIANT)
        guards = answer_alarms(self, self._metrics, latency_slo=latency_slo)
        config = endpoint_config(
            self, model=self._model(model, network), size=size, key=self.key, recording=recording
        )
        if config.kms_key_id:
            let_use_volumes_under(self.key, self.role)
        self.endpoint = self._endpoint(config, deployment, guards, scaled=isinstance(size, Sizing))
        """The endpoint itself."""
        if network is not None:
            # Instances fetch the artifact as they start: the way to S3 has to be there first, and to leave last.
            self.endpoint.node.add_dependency(network.comes_first or network.vpc)
        self.alarms = [*guards, caller_alarm(self, self._metrics), *self._size_alarms(size)]
        """Tell of failing calls, late answers, refused requests and busy instances."""
        self.dashboard = dashboard(self, self._metrics, latency_slo=latency_slo)
        if isinstance(capacity, Instances) and isinstance(size, Sizing):
            scale_by_calls(self, self.endpoint, VARIANT, capacity, size)

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` call this endpoint, and do nothing else (Lens: IAM-05, IAM-06)."""
        return grant(grantee, ["sagemaker:InvokeEndpoint"], self.endpoint.ref)

    def metric_invocations(self) -> cloudwatch.Metric:
        """Calls, sum over one minute."""
        return self._metrics.invocation("Invocations")

    def metric_latency(self) -> cloudwatch.Metric:
        """Time the model takes to answer in microseconds, 99th percentile over one minute."""
        return self._metrics.invocation("ModelLatency", "p99")

    def metric_errors(self) -> cloudwatch.Metric:
        """Calls that failed on the side of the endpoint, sum over one minute."""
        return self._metrics.invocation("Invocation5XXErrors")

    def _recording(self, capture: DataCapture) -> Recording | None:
        if not capture.enabled:
            return None
        bucket = capture.bucket or DerivedDataBucket(
            self, "Captured", posture=self._posture, audit=capture.audit
        )
        prefix = f"{CAPTURE_PREFIX}{self.endpoint_name}/"
        bucket.grant_add(self.role, prefix)
        # SageMaker writes in parts when there is much, which S3 has to decrypt to put together.
        grant(self.role, ["kms:Decrypt"], bucket.key.key_arn)
        return Recording(bucket=bucket, prefix=prefix, percent=capture.percent)

    def _model(self, model: ServedModel, network: EndpointNetwork | None) -> sagemaker.CfnModel:
        image = model.image.bind(self)
        artifact = model.artifact.bind(self)
        image.grant_pull(self.role)
        artifact.grant_read(self.role)
        vpc_config = None
        if network is not None:
            subnets, groups = network.selected(), list(network.security_groups)
            let_connect(self.role, subnets, groups)
            vpc_config = sagemaker.CfnModel.VpcConfigProperty(
                subnets=[subnet.subnet_id for subnet in subnets],
                security_group_ids=[group.security_group_id for group in groups],
            )
        made = sagemaker.CfnModel(
            self,
            "Model",
            execution_role_arn=self.role.role_arn,
            enable_network_isolation=True if network is not None else None,
            vpc_config=vpc_config,
            primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(
                image=image.uri,
                model_data_url=artifact.url,
                environment=model.variables(),
            ),
            tags=[CfnTag(key=VERSION_TAG, value=model.version)],
        )
        # SageMaker looks at image and artifact with the role as soon as there is a model.
        made.node.add_dependency(self.role)
        return made

    def _endpoint(
        self,
        config: sagemaker.CfnEndpointConfig,
        deployment: Deployment,
        guards: list[cloudwatch.Alarm],
        *,
        scaled: bool,
    ) -> sagemaker.CfnEndpoint:
        made = sagemaker.CfnEndpoint(
            self,
            "Resource",
            endpoint_name=self.endpoint_name,
            endpoint_config_name=config.attr_endpoint_config_name,
            deployment_config=deployment.to_config(guards),
            # Otherwise every update would take the instances back to the number they began with.
            retain_all_variant_properties=True if scaled else None,
        )
        made.node.add_dependency(self.log_group)
        emptied = self.captured.bucket.node.try_find_child("Emptied") if self.captured else None
        if emptied:
            made.node.add_dependency(emptied)  # a late record would fill the bucket again
        return made

    def _size_alarms(self, size: Sizing | Serverless) -> list[cloudwatch.Alarm]:
        if isinstance(size, Serverless):
            return serverless_alarms(self, self._metrics)
        return instance_alarms(self, self._metrics, cores=size.cores)


def _check_latency(props: PropChecks, latency_slo: Duration) -> None:
    if latency_slo.is_unresolved():
        props.refuse(
            "latency_slo",
            "is a token, and must be known when the template is made; give Duration.millis(200)",
        )
        return
    props.require(
        1 <= latency_slo.to_milliseconds(integral=False) <= _LONGEST_ANSWER.to_milliseconds(),
        "latency_slo",
        f"{latency_slo.to_human_string()} is out of range; allowed are 1 millisecond to 1 minute, after which "
        "SageMaker gives a call up: give the 99th percentile you promise, for example Duration.millis(200)",
    )


def _check_network(props: PropChecks, network: EndpointNetwork | None, posture: Posture) -> None:
    if props.require(
        network is not None,
        "network",
        "is missing, and instances outside a network of yours could reach anything; give EndpointNetwork(vpc=…, "
        "security_groups=…), or use Serverless()",
    ):
        assert network is not None  # noqa: S101  (for the type checker)
        network.check(props, posture)
