"""The variants of an endpoint: which models answer, and which only listens."""

from collections.abc import Sequence
from dataclasses import dataclass

from constructs import Construct

from ml_lens.foundation.posture import Posture
from ml_lens.foundation.props import PropChecks
from ml_lens.hosting.artifacts import ServedModel
from ml_lens.hosting.capacity import Instances, Serverless
from ml_lens.hosting.deployments import Deployment
from ml_lens.hosting.endpoint_config import VARIANT
from ml_lens.hosting.endpoint_models import Served
from ml_lens.hosting.model_library import ModelLibrary

CHAMPION, CHALLENGER, SHADOW = "A", "B", "Shadow"
"""Names of the variants of a test, and of a shadow."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One variant, before there are resources."""

    name: str
    """What it is called."""
    served: Served
    """What it serves."""
    prop: str
    """The prop that it was given as."""
    weight: float = 1
    """Its share of the traffic; of a shadow, the copies it gets of the calls of ``AllTraffic``."""
    is_shadow: bool = False
    """Whether it only listens. Default: it answers callers."""

    def scope(self, endpoint: Construct, first: "Variant") -> Construct:
        """Return where its resources belong: those of the first variant to the endpoint itself."""
        return endpoint if self is first else Construct(endpoint, self.name)


def variants_of(model: Served | None, deployment: Deployment) -> Sequence[Variant]:
    """Return the variants, the one that answers first; none where nobody has said what is served."""
    live = model or deployment.champion
    if live is None:
        return ()
    prop = "model" if model is not None else "deployment.a"
    if deployment.beside is None:
        return (Variant(name=VARIANT, served=live, prop=prop),)
    if deployment.is_shadow:
        return (
            Variant(name=VARIANT, served=live, prop=prop),
            Variant(
                name=SHADOW,
                served=deployment.beside,
                prop="deployment.candidate",
                # SageMaker copies as many calls as the ratio of the two weights says.
                weight=deployment.sampling / 100,
                is_shadow=True,
            ),
        )
    first, second = deployment.weights
    return (
        Variant(name=CHAMPION, served=live, prop=prop, weight=first),
        Variant(name=CHALLENGER, served=deployment.beside, prop="deployment.b", weight=second),
    )


def check_variants(
    props: PropChecks,
    scope: Construct,
    model: Served | None,
    deployment: Deployment,
    capacity: Instances | Serverless,
    posture: Posture,
) -> None:
    """Refuse models that SageMaker cannot serve, beside each other or in this way."""
    props.require(
        model is not None or deployment.champion is not None,
        "model",
        "is missing; give the model that answers, here or as Deployment.ab_test(a=…)",
    )
    props.require(
        model is None or deployment.champion is None,
        "model",
        "is given twice, here and as Deployment.ab_test(a=…); leave one of them out",
    )
    variants = variants_of(model, deployment)
    on_arm = isinstance(capacity, Instances) and capacity.completed(posture).has_arm
    for variant in variants:
        variant.served.check(props, scope, on_arm=on_arm, of=variant.prop)
        _check_kind(props, variant, deployment, capacity)
    libraries = [variant for variant in variants if isinstance(variant.served, ModelLibrary)]
    props.require(
        deployment.is_shadow or len(libraries) in (0, len(variants)),
        "deployment",
        "callers name a model of a library in each call, and must not for anything else; give two libraries with the "
        "same keys, or none",
    )


def _check_kind(
    props: PropChecks, variant: Variant, deployment: Deployment, capacity: Instances | Serverless
) -> None:
    one_model = isinstance(variant.served, ServedModel)
    props.require(
        one_model or not isinstance(capacity, Serverless),
        variant.prop,
        "serverless inference runs one container with one model; give a ServedModel, or run it on Instances()",
    )
    props.require(
        one_model or not deployment.is_shadow,
        variant.prop,
        "SageMaker has no shadows of pipelines and libraries, and makes none of them; give a ServedModel, or use "
        "Deployment.ab_test(…) with a small weight",
    )
