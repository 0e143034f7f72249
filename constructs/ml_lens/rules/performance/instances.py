"""Rules on instance families and accelerators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ml_lens.instance_types import is_for_training, is_larger, is_previous_generation
from ml_lens.rules.instances import instance_types, resources_of
from ml_lens.rules.policies import role_of
from ml_lens.rules.rule import ERROR, TRAINING_TASK, WARNING, rule
from ml_lens.rules.tasks import STATE_MACHINE, Task, about, states, unread_body
from ml_lens.rules.verdicts import Verdict, fails, must_not_exist, passes, unknown

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value

NOTEBOOK = "AWS::SageMaker::NotebookInstance"
ENDPOINT_CONFIG = "AWS::SageMaker::EndpointConfig"


@rule(
    "PER01-NoRetiredAccelerator",
    number=56,
    weight=ERROR,
    on=(NOTEBOOK, ENDPOINT_CONFIG, STATE_MACHINE),
    title="Nothing asks for Elastic Inference.",
    why="Elastic Inference no longer exists, so what asks for it cannot be created.",
    fix=(
        "Take AcceleratorTypes and AcceleratorType out; choose an instance with an accelerator of the right size, "
        "such as ml.inf2 or ml.g5."
    ),
    cloudformation="""
Type: AWS::SageMaker::EndpointConfig
Properties:
  ProductionVariants:
    - VariantName: blue
      ModelName: !GetAtt Model.ModelName
      InstanceType: ml.inf2.xlarge
      InitialInstanceCount: 2
""",
    lens2020=("MLPER 01", "MLPER 02", "MLCOST 04"),
    lens2025="MLCOST05-BP02",
    settled=(
        "An empty list asks for nothing, and passes.",
        "Endpoint configurations of a template and those that a state machine creates are judged alike.",
        "A definition that cannot be read is an open answer only where the state machine's role may create endpoint "
        "configurations.",
    ),
)
def nothing_asks_for_elastic_inference(node: Node) -> Iterator[Verdict]:
    """Demand that no accelerator of Elastic Inference is named."""
    if node.type == NOTEBOOK:
        yield must_not_exist(node["AcceleratorTypes"])
    elif node.type == ENDPOINT_CONFIG:
        for variant in _variants(node.properties):
            yield must_not_exist(variant["AcceleratorType"])
    else:
        yield from _accelerators_of_states(node)


@rule(
    "PER01-InstanceFamilyFit",
    number=57,
    weight=WARNING,
    on=(ENDPOINT_CONFIG, TRAINING_TASK),
    title="Instances fit what they do.",
    why="Accelerators built to train are idle in most endpoints, and previous generations cost more for less.",
    fix=(
        "Choose a current family: for endpoints one for inference (ml.c7g, ml.m6i, ml.g5, ml.inf2), for jobs the "
        "successor of the previous generation (ml.m5 for ml.m4, ml.g5 for ml.p3)."
    ),
    cloudformation="""
Type: AWS::SageMaker::EndpointConfig
Properties:
  ProductionVariants:
    - VariantName: blue
      ModelName: !GetAtt Model.ModelName
      InstanceType: ml.m6i.large
      InitialInstanceCount: 2
""",
    lens2020=("MLPER 01", "MLCOST 04"),
    lens2025=("MLPERF04-BP01", "MLCOST05-BP03"),
    settled=(
        "The families ml.p* and ml.trn* are built to train; m4, c4, t2, p2 and p3 are previous generations.",
        "A transform job infers on the instances of a training cluster as well as on others, so only its generation "
        "is judged.",
        "Outside production a variant may be no larger than the option development_size.",
        "Serverless variants, and jobs for which SageMaker chooses the instances, have no family to judge.",
    ),
)
def instances_fit(subject: Node | Task) -> Iterator[Verdict]:
    """Judge the family of every instance, and the size of those outside production."""
    if isinstance(subject, Task):
        for job in subject.jobs:
            for each in instance_types(resources_of(subject, job)):
                yield about(subject, _judged(each, _ill_for_a_job(each)))
        return
    for variant in _variants(subject.properties):
        several = [pool["InstanceType"] for pool in variant["InstancePools"].elements]
        for each in (variant["InstanceType"], *several):
            if each:
                yield _judged(each, _ill_for_an_endpoint(each, subject))


RULES = (nothing_asks_for_elastic_inference, instances_fit)


def _variants(config: Value) -> list[Value]:
    return [*config["ProductionVariants"].elements, *config["ShadowProductionVariants"].elements]


def _accelerators_of_states(machine: Node) -> Iterator[Verdict]:
    for state in states(machine):
        if state.calls("createEndpointConfig"):
            for variant in _variants(state.arguments):
                # A request computed elsewhere may hold anything; the API refuses this property.
                if not variant.is_open:
                    yield must_not_exist(variant["AcceleratorType"])
    unread = unread_body(machine)
    if unread is not None:
        role = role_of(machine["RoleArn"])
        if role is not None and role.may("sagemaker:CreateEndpointConfig"):
            told = (
                f"{unread.path} cannot be read here, so nobody knows which endpoint configurations it creates"
            )
            yield unknown(machine, told, path=unread.path)


def _judged(instance_type: Value, problem: str | None) -> Verdict:
    if instance_type.is_open:
        told = f"{instance_type.path} is {instance_type.shown}, which the template leaves open; {_DEMAND}"
        return unknown(instance_type.node, told, path=instance_type.path)
    if problem is None:
        return passes(instance_type.node)
    told = f"{instance_type.path} is {instance_type.shown}, {problem}"
    return fails(instance_type.node, told, path=instance_type.path)


_DEMAND = "it must be of a current family that fits"


def _ill_for_a_job(instance_type: Value) -> str | None:
    return "of a previous generation" if is_previous_generation(str(instance_type.literal)) else None


def _ill_for_an_endpoint(instance_type: Value, config: Node) -> str | None:
    name, size = str(instance_type.literal), config.options.development_size
    if is_for_training(name):
        return "a family that is built to train"
    if is_previous_generation(name):
        return "of a previous generation"
    if not config.in_production and is_larger(name, size):
        return f"larger than {size}, which is enough outside production"
    return None
