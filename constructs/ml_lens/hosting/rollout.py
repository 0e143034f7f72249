"""The lens's own way to release a model: beside the old one, step by step, and back at the first sign of trouble."""

from aws_cdk import Duration, Token
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from constructs import Construct

from ml_lens.foundation.keys import customer_key, let_log_groups_use
from ml_lens.foundation.network import MlNetwork
from ml_lens.foundation.observability import AlarmTopic
from ml_lens.foundation.posture import Posture
from ml_lens.foundation.props import PropChecks, checked_props
from ml_lens.hosting.artifacts import ServedModel
from ml_lens.hosting.capacity import Serverless
from ml_lens.hosting.deployment_records import DeploymentRecords
from ml_lens.hosting.endpoint_config import VARIANT
from ml_lens.hosting.hosted_model import HostedModel
from ml_lens.hosting.model_artifacts import ModelArtifacts
from ml_lens.hosting.probes import Probes
from ml_lens.hosting.rollout_functions import forgetting_function, judging_function, probing_function
from ml_lens.hosting.rollout_plan import RolloutChecks, RolloutPlan
from ml_lens.hosting.rollout_rights import grant_own, let_change, let_read_packages, let_see_runs
from ml_lens.hosting.rollout_states import rollout_states
from ml_lens.hosting.rollout_tasks import RolloutParts
from ml_lens.hosting.starts import WorkflowStarts
from ml_lens.hosting.workflows import Workflow, let_tell

_TO_BEGIN_AND_END = Duration.hours(2)
_TO_MAKE_ROOM = Duration.minutes(30)
_WATCHED_AT_MOST = 4


class Rollout(Construct):
    """Releases new versions of a model while it is in use, outside of CloudFormation.

    A run puts the candidate beside the live version, asks it what the answers to are known, moves traffic to it step
    by step, judges errors, latency and business outcomes after each, and makes it the live version. Whatever goes
    wrong, it returns all traffic and the old configuration, and fails with the reason. One run changes the endpoint
    at a time; ``records`` tells of each what it released, over what, and what became of it; ``topic`` tells people.

    Start a run with ``{"artifact": "s3://…/model.tar.gz", "version": "2.0.0"}``, and ``environment`` where the
    container needs other variables, or ``image`` for another one of the live repository; network and role are those of
    the live model. Give every artifact a key of its own in ``candidates``. :meth:`release_approved` starts runs for
    what a model registry approves.

    A run that is stopped or takes too long is cleaned up after by another one, which returns the endpoint. Were even
    that to fail, the next run would begin by returning it.

    The template still names the version it deployed. A later deployment that changes the model replaces what a
    rollout has released, with the guardrails of ``HostedModel``.

    Lens: HST-01, F8-02, F8-03, F8-04, F8-05, F8-06, F8-07, F9-01, F9-02, F9-03, F9-04, F9-05, F10-01, F10-02, F10-03,
    F10-04, F10-05, CHG-01, CHG-02, CHG-05, CHG-06, CHG-07, CHG-08, CHG-12, CHG-17, CHG-18, CHG-19.
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
            model: The endpoint whose model is replaced. It serves one model by one variant, on instances.
            plan: The steps in which traffic moves.
            checks: What a candidate has to keep to.
            probes: Requests with known answers.
            network: Where the function runs that asks the probes.
            candidates: Where the artifacts of candidates are put. Default: a new bucket, access to which is not
                recorded here, so that the finding AwsSolutions-S1 stands.

        Raises:
            PropError: A number is out of range, the probes cannot be used, or ``model`` cannot be changed in this way.
        """
        with checked_props(self, id) as props:
            checks.check(props)
            probes.check(props)
            _check_model(props, model)
        super().__init__(scope, id)
        self.key = customer_key(self, "Key", posture=posture, purpose="records and logs of rollouts")
        let_log_groups_use(self.key)
        self.prefix = f"{model.endpoint_name[:40]}-rollout-"
        """What the names of models and configurations begin with that runs make."""
        self.candidates = candidates or ModelArtifacts(self, "Candidates", posture=posture)
        """Where the artifacts of candidates are put."""
        self.candidates.grant_serve(model.role)
        self.topic = AlarmTopic(self, "News", posture=posture)
        """Tells of every version that is about to be released, was released or was sent back."""
        self._kept = DeploymentRecords(
            self, "Records", posture=posture, key=self.key, endpoint=model.endpoint_name
        )
        self.records: dynamodb.ITable = self._kept.table
        """What was released, when, over what, and what became of it."""
        self.probe = probing_function(
            self, posture=posture, key=self.key, model=model, checks=checks, probes=probes, network=network
        )
        self.judge = judging_function(self, posture=posture, key=self.key, checks=checks)
        self.workflow = self._workflow(posture, model, plan)
        """The state machine."""
        self._let_release(model)
        forget = forgetting_function(self, posture=posture, key=self.key, model=model, prefix=self.prefix)
        grant_own(forget.role, "endpoint-config", self.prefix, "sagemaker:DeleteEndpointConfig")
        grant_own(forget.role, "model", self.prefix, "sagemaker:DeleteModel")
        self._starts = WorkflowStarts(self, "Starts", posture=posture, key=self.key, workflow=self.workflow)
        self._starts.on_stopped_runs("Stopped")
        self.alarms = [
            *self.workflow.alarms,
            *self.probe.alarms,
            *self.judge.alarms,
            *self._starts.alarms,
        ]
        """Tell of runs that did not release anything, and of failing functions."""

    def grant_start(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` start rollouts, and neither publish candidates nor touch the endpoint (Lens: IAM-02)."""
        return self.workflow.grant_start(grantee)

    def release_approved(self, model_package_group: str) -> events.Rule:
        """Start a run for every model package of a group that is approved (Lens: CHG-04, CHG-19).

        Artifact, image and variables are those with which it was registered, and the version is its customer metadata
        ``version``, else its number. The artifact has to be in ``candidates``, the image in the live repository.

        Args:
            model_package_group: Name of the group, in small letters.

        Raises:
            PropError: The name cannot be one, or not be matched by IAM.
        """
        with checked_props(self, self.node.id) as props:
            props.require(
                Token.is_unresolved(model_package_group)
                or model_package_group == model_package_group.lower().strip("/") != "",
                "model_package_group",
                f"{model_package_group!r} cannot be matched: SageMaker writes names of groups in small letters into "
                "ARNs; give the name of the group in small letters",
            )
        let_read_packages(self.workflow.role, model_package_group)
        return self._starts.on_approved_packages(f"Approved-{_id(model_package_group)}", model_package_group)

    def _workflow(self, posture: Posture, model: HostedModel, plan: RolloutPlan) -> Workflow:
        lasts = _TO_BEGIN_AND_END.to_seconds() + sum(
            _TO_MAKE_ROOM.to_seconds() + _WATCHED_AT_MOST * wait.to_seconds() for _, wait in plan.steps
        )
        start = rollout_states(
            Construct(self, "States"),
            RolloutParts(
                endpoint=model.endpoint_name,
                prefix=self.prefix,
                plan=plan,
                probe=self.probe,
                judge=self.judge,
                candidates=self.candidates.bucket,
                records=self._kept,
                topic=self.topic,
            ),
        )
        return Workflow(
            self,
            "Workflow",
            posture=posture,
            key=self.key,
            start=start,
            time_limit=Duration.seconds(lasts),
            what="A rollout",
        )

    def _let_release(self, model: HostedModel) -> None:
        """Give the state machine its rights."""
        role = self.workflow.role
        self.workflow.may_call(self.probe, self.judge)
        let_tell(role, self.topic)
        let_change(role, model, self.prefix)
        let_see_runs(self, self.workflow)
        self.candidates.grant_serve(role)
        self._kept.grant_keep(role)


def _check_model(props: PropChecks, model: HostedModel) -> None:
    props.require(
        model.variants == (VARIANT,),
        "model",
        f"has the variants {', '.join(model.variants)}; a rollout replaces the only one of an endpoint: compare two "
        "with an Experiment",
    )
    props.require(
        model.shadow_variant is None,
        "model",
        "has a shadow, and SageMaker takes no second variant beside one; end the shadow test first",
    )
    props.require(
        isinstance(model.served, ServedModel),
        "model",
        f"serves more than one container or model ({type(model.served).__name__}), of which a candidate would replace "
        "one alone; replace it by HostedModel(deployment=…)",
    )
    props.require(
        not isinstance(model.capacity, Serverless),
        "model",
        "is serverless, which has no second variant; replace it by HostedModel(deployment=…)",
    )


def _id(name: str) -> str:
    return "Token" if Token.is_unresolved(name) else name
