"""Predictions for a whole data set, when nobody waits for them."""

from aws_cdk import Duration, Names
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from ml_lens.assets import function_code
from ml_lens.foundation.functions import PythonFunction
from ml_lens.foundation.keys import customer_key, let_log_groups_use
from ml_lens.foundation.observability import AlarmTopic
from ml_lens.foundation.posture import Posture
from ml_lens.foundation.props import checked_props
from ml_lens.foundation.storage import DerivedDataBucket, grant, grant_objects
from ml_lens.hosting.artifacts import ServedModel
from ml_lens.hosting.batch_options import BatchJobs, BatchSource, grant_list
from ml_lens.hosting.batch_request import BatchPlan
from ml_lens.hosting.batch_rights import TransformLogs, job_role, let_run_jobs
from ml_lens.hosting.batch_workflow import batch_states
from ml_lens.hosting.endpoint_models import endpoint_model
from ml_lens.hosting.execution_role import let_connect
from ml_lens.hosting.networks import EndpointNetwork
from ml_lens.hosting.starts import WorkflowStarts
from ml_lens.hosting.workflows import Workflow

_LONGEST_NAME = 40
_LONGEST_COUNT = Duration.minutes(15)
_BESIDE_THE_JOBS = Duration.hours(3)


class BatchInference(Construct):
    """Lets a model work off a whole data set: instances start with the job, and end with it.

    A state machine runs a SageMaker transform job over the objects of ``source``, counts what went in and what came
    out, and records both. A run that fails, or that answers fewer records than it read, is told with its reason to
    ``topic``. The job runs in your network and can make no calls of its own; volumes and results are encrypted; its
    role reads the source, its artifact and nothing else.

    Start it by hand with ``{}`` for everything, ``{"prefix": "batches/2026-11/"}`` or ``{"manifest": "manifests/…"}``
    for a part; by :meth:`start_on_schedule`; or by :meth:`start_on_manifests`. A manifest is SageMaker's: ``[{"prefix":
    "s3://bucket/batches/"}, "a.csv", "b.csv"]``.

    Lens: BTR-01, BTR-02, CIN-01, MDL-07.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        posture: Posture,
        model: ServedModel,
        network: EndpointNetwork,
        source: BatchSource,
        jobs: BatchJobs | None = None,
        results: DerivedDataBucket | None = None,
        topic: AlarmTopic | None = None,
    ) -> None:
        """Create the model, and the state machine that runs it.

        Args:
            scope: Where it belongs.
            id: Its construct id.
            posture: Decides what outlives the stack and how long logs are kept.
            model: The artifact, and the image that serves it.
            network: Where jobs run.
            source: The records.
            jobs: How jobs run. Default: ``BatchJobs()``.
            results: Takes results below ``predictions/`` and the records of runs below ``runs/``. Default: a new
                bucket with a key of its own.
            topic: Is told of runs that fail. Default: a new one.

        Raises:
            PropError: SageMaker would refuse the job, or source and manifests lie in each other.
        """
        jobs = jobs or BatchJobs()
        with checked_props(self, id) as props:
            model.check(props, scope, on_arm=jobs.has_arm)
            network.check(props, posture)
            source.check(props)
            jobs.check(props, source)
        super().__init__(scope, id)
        self._posture = posture
        self._source = source
        self._starts: WorkflowStarts | None = None
        self.key = customer_key(self, "Key", posture=posture, purpose="volumes and logs of batch inference")
        let_log_groups_use(self.key)
        self.results = results or DerivedDataBucket(self, "Results", posture=posture)
        """Holds results and the records of runs."""
        self.topic = topic or AlarmTopic(self, "Topic", posture=posture)
        """Is told of runs that fail, with the reason."""
        # In the ARN of a job SageMaker writes its name in small letters, and IAM compares letter by letter.
        self.job_prefix = Names.unique_resource_name(self, separator="-", max_length=_LONGEST_NAME).lower()
        """What the names of its jobs begin with, up to a dash."""
        self.role = job_role(
            self, name=self.job_prefix, source=source, volume_key=None if jobs.has_disks else self.key
        )
        let_connect(self.role, network)
        self.model = endpoint_model(self, role=self.role, served=model, network=network)
        """The model; it costs nothing between jobs."""
        self._plan = BatchPlan(
            name=self.job_prefix,
            model_name=self.model.attr_model_name,
            model_version=model.version,
            source=source,
            jobs=jobs,
            results=self.results,
            volume_key=self.key,
        )
        self._let_write_results()
        self.summary = self._summary()
        self.workflow = Workflow(
            self,
            "Workflow",
            posture=posture,
            key=self.key,
            start=batch_states(Construct(self, "States"), self._plan, summary=self.summary, topic=self.topic),
            time_limit=Duration.seconds(
                jobs.attempts * jobs.time_limit.to_seconds() + _BESIDE_THE_JOBS.to_seconds()
            ),
            what="Batch inference",
        )
        self.workflow.may_call(self.summary)
        let_run_jobs(self.workflow.role, self._plan, topic=self.topic)
        self.workflow.node.add_dependency(network.comes_first or network.vpc)
        if not jobs.has_log_group:
            self.workflow.node.add_dependency(TransformLogs.in_stack_of(self, posture=posture))
        self.alarms = [*self.workflow.alarms, *self.summary.alarms]
        """Tell of runs that failed or were stopped, and, once something starts it, of starts that failed."""

    @property
    def state_machine_arn(self) -> str:
        """ARN of the state machine."""
        return self.workflow.machine.state_machine_arn

    def grant_start(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` start runs, and do nothing else."""
        return self.workflow.grant_start(grantee)

    def start_on_schedule(self, id: str, schedule: events.Schedule) -> events.Rule:
        """Work the whole source off by ``schedule``."""
        return self._started().on_schedule(id, schedule)

    def start_on_manifests(self) -> events.Rule:
        """Work off what a manifest names as soon as it is there; its key ends in ``.json``.

        The bucket of the source has to announce its objects to EventBridge, as ``TemporaryInputBucket`` does.
        """
        return self._started().on_objects(
            "Manifests",
            self._source.bucket,
            f"{self._source.manifests}*.json",
            {
                "manifest": events.EventField.from_path("$.detail.object.key"),
                # The same for every delivery of one event, and another for every upload.
                "event": events.EventField.from_path("$.detail.object.sequencer"),
            },
        )

    def _started(self) -> WorkflowStarts:
        if self._starts is None:
            self._starts = WorkflowStarts(
                self, "Starts", posture=self._posture, key=self.key, workflow=self.workflow
            )
            self.alarms += self._starts.alarms
        return self._starts

    def _let_write_results(self) -> None:
        written = [self._plan.predictions, *([self._plan.captured] if self._plan.jobs.capture else [])]
        for prefix in written:
            self.results.grant_add_in_parts(self.role, prefix)

    def _summary(self) -> PythonFunction:
        plan = self._plan
        made = PythonFunction(
            self,
            "Summary",
            posture=self._posture,
            code=function_code("transform_summary"),
            log_key=self.key,
            timeout=_LONGEST_COUNT,
            memory_mib=512,
            environment={
                "SOURCE_BUCKET": plan.source.bucket.bucket_name,
                "RESULTS_BUCKET": plan.results.bucket.bucket_name,
                "PREDICTIONS": plan.predictions,
                "RUNS": plan.runs,
                "BY_LINE": "true" if plan.source.by_line else "false",
                "MODEL_VERSION": plan.model_version,
            },
        )
        plan.source.grant_read(made.role)
        plan.source.grant_read_manifests(made.role)
        results: s3.IBucket = plan.results.bucket
        grant_objects(made.role, ["s3:GetObject"], results, plan.predictions)
        grant_list(made.role, results, plan.predictions)
        grant(made.role, ["kms:Decrypt"], plan.results.key.key_arn)
        plan.results.grant_add(made.role, plan.runs)
        return made
