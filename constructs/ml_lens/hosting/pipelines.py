"""Several containers that answer one call, one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from ml_lens.foundation.props import PropChecks
from ml_lens.hosting.artifacts import VERSION_VARIABLE, ServedModel, check_version

STEP_VERSION_VARIABLE = "STEP_VERSION"
"""The environment variable that tells a container of a pipeline its own version."""
_FEWEST, _MOST = 2, 15


@dataclass(frozen=True, kw_only=True)
class InferencePipeline:
    """Serves a chain of containers: the answer of each is the request of the next.

    Use it for preparation before a model and for what follows it, so that callers send raw values and all steps are
    released together. SageMaker runs the containers side by side on every instance, and calls them over HTTP.

    Lens: PIP-01, PIP-02.
    """

    containers: Sequence[ServedModel]
    """Two to fifteen steps, in the order in which they are called."""
    version: str
    """What the pipeline as a whole is called, for example ``1.0.0``.

    Every container finds it as ``MODEL_VERSION``, and the version of its own as ``STEP_VERSION`` (Lens: HST-07).
    """

    def check(self, props: PropChecks, scope: Construct, *, on_arm: bool, of: str = "model") -> None:
        """Refuse what SageMaker cannot chain."""
        props.require(
            _FEWEST <= len(self.containers) <= _MOST,
            f"{of}.containers",
            f"{len(self.containers)} make no pipeline; SageMaker chains {_FEWEST} to {_MOST} containers: serve one as "
            "ServedModel, and merge steps of more",
        )
        check_version(props, self.version, of=of)
        for number, step in enumerate(self.containers):
            step.check(
                props,
                scope,
                on_arm=on_arm,
                of=f"{of}.containers[{number}]",
                set_from_version=(VERSION_VARIABLE, STEP_VERSION_VARIABLE),
            )

    def definitions(
        self, scope: Construct, role: iam.Role
    ) -> list[sagemaker.CfnModel.ContainerDefinitionProperty]:
        """Return its containers, and let ``role`` read and pull what they are made of."""
        return [
            definition
            for number, step in enumerate(self.containers, start=1)
            for definition in step.definitions(
                Construct(scope, f"Step{number}"),
                role,
                {VERSION_VARIABLE: self.version, STEP_VERSION_VARIABLE: step.version},
            )
        ]
