"""A model that answers calls."""

from collections.abc import Sequence

from aws_cdk import Duration, Names
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from ml_lens.foundation.keys import customer_key, let_log_groups_use
from ml_lens.foundation.log_groups import kept_log_group
from ml_lens.foundation.posture import Posture
from ml_lens.foundation.props import PropError, checked_props, nearest
from ml_lens.foundation.storage import grant, grant_objects
from ml_lens.hosting.callers import CallOrigin
from ml_lens.hosting.capacity import Instances, Serverless, Sizing
from ml_lens.hosting.captures import DataCapture
from ml_lens.hosting.deployments import Deployment
from ml_lens.hosting.endpoint_checks import check_endpoint
from ml_lens.hosting.endpoint_config import Configured, Recording, variants_config
from ml_lens.hosting.endpoint_dashboard import dashboard
from ml_lens.hosting.endpoint_models import Served, endpoint_model
from ml_lens.hosting.endpoint_scaling import scale_by_calls
from ml_lens.hosting.endpoint_variants import Variant, check_variants, variants_of
from ml_lens.hosting.endpoint_watch import EndpointMetrics, watch
from ml_lens.hosting.execution_role import execution_role, let_connect, let_use_volumes_under
from ml_lens.hosting.model_library import ModelLibrary
from ml_lens.hosting.networks import EndpointNetwork

_LONGEST_NAME = 63


class HostedModel(Construct):
    """Serves a model over HTTPS, to those who were granted it.

    The container runs in your network and can make no calls of its own. Volumes, logs and captured calls are encrypted
    with customer keys. The role of the endpoint reads its artifact, pulls its image and stores captured calls, and does
    nothing else. Instances scale with the load. ``alarms`` watch errors, latency, and the CPU, memory, disk and GPUs of
    the instances; ``guards``, those on errors and latency, roll a bad deployment back. Change ``model``, and the
    endpoint takes the new version in the way that ``deployment`` says, under the same name.

    The endpoint has a name of its own: its log group is called after it, and has to exist before it, or SageMaker
    makes one without key and retention; and the alarms that roll back its deployments have to know it before it
    exists. In production the log group outlives the stack: delete or import it before a stack of the same name is
    made again.

    An alarm on errors or latency that is on already rolls every update back, the one that would mend the endpoint as
    well: mend it with ``Deployment.standard()``.

    Lens: CIN-02, F8-01, F8-06, F8-07, F9-02, F9-06, HST-02, HST-04, HST-05, HST-07, IAM-05, IAM-06, IAM-08, ISO-01,
    LOG-02, LOG-03, MDL-01, MDL-04, MDL-05, MDL-06, MDL-08, MON-01, MON-02, MON-03, SCL-01, SCL-04, SCL-05, SCL-09,
    STD-01, STD-02, STD-03.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        posture: Posture,
        model: Served | None = None,
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
            model: What it serves: a ``ServedModel``, an ``InferencePipeline`` or a ``ModelLibrary``. Required, unless
                ``Deployment.ab_test`` names both models.
            network: Where it runs. Required, unless ``capacity`` is ``Serverless``.
            capacity: What it runs on. Default: ``Instances()``.
            deployment: How a new version takes over, or what runs beside the model. Default:
                ``Deployment.standard()`` in a sandbox, ``Deployment.blue_green()`` in production.
            latency_slo: Time within which the model answers 99 of 100 calls, one millisecond to one minute. Default:
                one second.
            capture: What is recorded of the calls. Default: everything, or nothing for ``Serverless``.

        Raises:
            PropError: A number is out of range, there is no network, or ``model``, ``capacity``, ``deployment`` and
                ``capture`` do not go together.
        """
        capacity = capacity or Instances()
        deployment = deployment or (Deployment.blue_green() if posture.keeps_data else Deployment.standard())
        latency_slo = latency_slo or Duration.seconds(1)
        if capture is None:
            capture = DataCapture.off() if isinstance(capacity, Serverless) else DataCapture()
        with checked_props(self, id) as props:
            check_variants(props, scope, model, deployment, capacity, posture)
            check_endpoint(props, posture, network, capacity, deployment, latency_slo, capture)
        super().__init__(scope, id)
        variants = variants_of(model, deployment)
        self.served = variants[0].served
        """What it serves; with variants beside each other, what was there before."""
        self.model_version = self.served.version
        """The version that the template deploys; with several variants, that of the first."""
        self.model_versions = {variant.name: variant.served.version for variant in variants}
        """The version that the template deploys, by the name of the variant."""
        self.variants = tuple(variant.name for variant in variants if not variant.is_shadow)
        """Names of the production variants: ``AllTraffic``, or ``A`` and ``B``."""
        self.shadow_variant = next((variant.name for variant in variants if variant.is_shadow), None)
        """Name of the variant that only listens; ``None`` where there is none."""
        self.capacity = capacity
        """What it runs on."""
        self.network = network
        """Where it runs; ``None`` for ``Serverless``."""
        name = Names.unique_resource_name(self, separator="-", max_length=_LONGEST_NAME)
        # In the ARN of an endpoint SageMaker writes its name in small letters, and IAM compares letter by letter.
        self.endpoint_name = name.lower()
        """Name of the endpoint: what callers give."""
        self.key = customer_key(self, "Key", posture=posture, purpose="volumes and logs of an endpoint")
        """Encrypts volumes and logs."""
        let_log_groups_use(self.key)
        self.log_group = kept_log_group(
            self, posture=posture, key=self.key, name=f"/aws/sagemaker/Endpoints/{self.endpoint_name}"
        )
        """Holds what containers write."""
        self.role = execution_role(self, "Role", connects=network is not None)
        """The role under which SageMaker serves."""
        self.log_group.grant(
            self.role, "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"
        )
        size = capacity if isinstance(capacity, Serverless) else capacity.completed(posture)
        recording = capture.bind(self, posture=posture, role=self.role, endpoint_name=self.endpoint_name)
        self.captured = recording.bucket if recording else None
        """Holds captured calls; ``None`` when nothing is recorded."""
        scopes = {variant.name: variant.scope(self, variants[0]) for variant in variants}
        watches = {
            variant.name: watch(
                scopes[variant.name],
                EndpointMetrics(
                    endpoint_name=self.endpoint_name, variant=variant.name, is_shadow=variant.is_shadow
                ),
                size=size,
                latency_slo=latency_slo,
            )
            for variant in variants
        }
        self._metrics = {name: each.metrics for name, each in watches.items()}
        self.guards = [alarm for name in self.variants for alarm in watches[name].answers]
        """Tell of failing calls and late answers, and roll a deployment back."""
        if deployment.is_guarded:
            # SageMaker looks at the alarms in the role of the endpoint; without, it rolls every update back.
            for alarm in self.guards:
                grant(self.role, ["cloudwatch:DescribeAlarms"], alarm.alarm_arn)
        self.alarms = [alarm for each in watches.values() for alarm in (*each.answers, *each.others)]
        """Tell of failing calls, late answers, refused requests and busy instances, of every variant."""
        config = self._config(variants, scopes, size, recording, network)
        self.endpoint = self._endpoint(config, deployment, scaled=isinstance(size, Sizing) and size.scales)
        """The endpoint itself."""
        if network is not None:
            # Instances fetch the artifact as they start: the way to S3 has to be there first, and to leave last.
            self.endpoint.node.add_dependency(network.comes_first or network.vpc)
        self.dashboard = dashboard(
            self,
            list(self._metrics.values()),
            latency_slo=latency_slo,
            gpus=isinstance(size, Sizing) and size.gpus > 0,
            library=isinstance(self.served, ModelLibrary),
        )
        """Shows every variant, and several of them beside each other."""
        if isinstance(capacity, Instances) and isinstance(size, Sizing):
            for name in self.variants:
                scale_by_calls(scopes[name], self.endpoint, name, capacity, size)

    def grant_invoke(
        self,
        grantee: iam.IGrantable,
        *,
        only_from: CallOrigin | None = None,
        models: Sequence[str] = (),
    ) -> iam.Grant:
        """Let ``grantee`` call this endpoint, and do nothing else (Lens: IAM-05, IAM-06, IAM-08).

        Args:
            grantee: Who may call.
            only_from: Where calls have to come from. Default: anywhere.
            models: Keys of a library's models, below its prefix, that may be called; a star stands for anything. IAM
                knows no such limit for variants. Default: all of them.

        Raises:
            PropError: ``only_from`` names no place, or ``models`` are given and no library is served.
        """
        conditions: dict[str, dict[str, object]] = {}
        with checked_props(self, self.node.id) as props:
            if only_from is not None:
                only_from.check(props)
                conditions |= only_from.conditions()
            props.require(
                not models or isinstance(self.served, ModelLibrary),
                "models",
                "are those of a ModelLibrary, and this endpoint serves one model; leave them out",
            )
        if models:
            conditions["StringLike"] = {"sagemaker:TargetModel": list(models)}
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["sagemaker:InvokeEndpoint"],
            resource_arns=[self.endpoint.ref],
            conditions=conditions or None,
        )

    def let_serve(self, bucket: s3.IBucket, prefix: str) -> iam.Grant:
        """Let the endpoint serve artifacts below ``prefix`` of ``bucket`` that others bring to it later.

        Args:
            bucket: Where they are.
            prefix: What their keys begin with, up to a slash.

        Raises:
            PropError: ``prefix`` does not end in a slash.
        """
        with checked_props(self, self.node.id) as props:
            props.require(
                prefix.endswith("/"),
                "prefix",
                f"{prefix!r} would match more than one folder; end it in a slash: {prefix + '/'!r}",
            )
        reading = grant_objects(self.role, ["s3:GetObject"], bucket, prefix)
        if bucket.encryption_key is None:
            return reading
        return reading.combine(grant(self.role, ["kms:Decrypt"], bucket.encryption_key.key_arn))

    def metric_invocations(self, variant: str | None = None) -> cloudwatch.Metric:
        """Calls, sum over one minute, of ``variant`` or the first one."""
        return self._of(variant).invocation("Invocations")

    def metric_latency(self, variant: str | None = None) -> cloudwatch.Metric:
        """Time to answer in microseconds, 99th percentile over one minute, of ``variant`` or the first one."""
        return self._of(variant).invocation("ModelLatency", "p99")

    def metric_errors(self, variant: str | None = None) -> cloudwatch.Metric:
        """Calls that failed on the side of the endpoint, sum over one minute, of ``variant`` or the first one."""
        return self._of(variant).invocation("Invocation5XXErrors")

    def _of(self, variant: str | None) -> EndpointMetrics:
        names = list(self._metrics)
        if variant is not None and variant not in names:
            problem = f"there is no {variant!r}{nearest(variant, names)}; there are {', '.join(names)}"
            raise PropError(self.node.path, [f"variant: {problem}"])
        return self._metrics[variant or names[0]]

    def _config(
        self,
        variants: Sequence[Variant],
        scopes: dict[str, Construct],
        size: Sizing | Serverless,
        recording: Recording | None,
        network: EndpointNetwork | None,
    ) -> sagemaker.CfnEndpointConfig:
        configured = [
            Configured(
                model=endpoint_model(
                    scopes[variant.name], role=self.role, served=variant.served, network=network
                ),
                name=variant.name,
                weight=variant.weight,
                is_shadow=variant.is_shadow,
            )
            for variant in variants
        ]
        if network is not None:
            let_connect(self.role, network)
        made = variants_config(self, variants=configured, size=size, key=self.key, recording=recording)
        if made.kms_key_id:
            let_use_volumes_under(self.key, self.role)
        return made

    def _endpoint(
        self, config: sagemaker.CfnEndpointConfig, deployment: Deployment, *, scaled: bool
    ) -> sagemaker.CfnEndpoint:
        # Otherwise every update would take instances and shares of a test back to those it began with.
        retained = True if scaled or len(self.variants) > 1 else None
        weight = sagemaker.CfnEndpoint.VariantPropertyProperty(variant_property_type="DesiredWeight")
        made = sagemaker.CfnEndpoint(
            self,
            "Resource",
            endpoint_name=self.endpoint_name,
            endpoint_config_name=config.attr_endpoint_config_name,
            deployment_config=deployment.to_config(self.guards),
            retain_all_variant_properties=retained,
            # The share that a shadow gets is set here and nowhere else.
            exclude_retained_variant_properties=[weight] if retained and self.shadow_variant else None,
        )
        made.node.add_dependency(self.log_group)
        emptied = self.captured.bucket.node.try_find_child("Emptied") if self.captured else None
        if emptied:
            made.node.add_dependency(emptied)  # a late record would fill the bucket again
        return made
