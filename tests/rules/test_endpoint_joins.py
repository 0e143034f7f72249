"""What belongs to an endpoint, however templates write it and wherever they say it."""

from typing import Any

import pytest

from ml_lens.rules.endpoints import (
    component_targets,
    components_on,
    config_of,
    endpoints_of,
    is_of_sagemaker,
    models_of,
    only_serverless,
    policies_of,
    scalable_targets,
    target_of,
    targets_that_may_scale,
    uses_of,
    variant_of,
    variants,
)
from ml_lens.rules.graph import Graph
from tests.rules.apps import app, graph, node, read
from tests.rules.fixtures import Body, rendered

COUNT = "sagemaker:variant:DesiredInstanceCount"
SERVERLESS = {"ServerlessConfig": {"MaxConcurrency": 5, "MemorySizeInMB": 2048}}


def config(*models: Any, **properties: Any) -> dict[str, Any]:
    listed = [
        {
            "VariantName": f"V{number}",
            "ModelName": model,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 2,
        }
        for number, model in enumerate(models)
    ]
    return {
        "Type": "AWS::SageMaker::EndpointConfig",
        "Properties": {"ProductionVariants": listed, **properties},
    }


def endpoint(named: Any, **properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::SageMaker::Endpoint", "Properties": {"EndpointConfigName": named, **properties}}


def target(resource_id: Any, dimension: Any = COUNT) -> dict[str, Any]:
    properties = {"ServiceNamespace": "sagemaker", "ScalableDimension": dimension, "ResourceId": resource_id}
    return {"Type": "AWS::ApplicationAutoScaling::ScalableTarget", "Properties": properties}


def policy(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::ApplicationAutoScaling::ScalingPolicy", "Properties": properties}


def machine(resource: str, arguments: Any) -> dict[str, Any]:
    state = {"Type": "Task", "Resource": resource, "Arguments": arguments, "End": True}
    body = Body(QueryLanguage="JSONata", StartAt="Only", States={"Only": state})
    return {"Type": "AWS::StepFunctions::StateMachine", "Properties": {"DefinitionString": rendered(body)}}


MODEL: dict[str, Any] = {"Type": "AWS::SageMaker::Model"}
BY_GET_ATT = {"Fn::GetAtt": ["Endpoint", "EndpointName"]}


def scaled(resource_id: Any, *, model: Any = "churn", **endpoint_properties: Any) -> Graph:
    return app(
        {
            "Parameters": {"Name": {"Type": "String"}},
            "Resources": {
                "Config": config(model),
                "Endpoint": endpoint({"Ref": "Config"}, **endpoint_properties),
                "Target": target(resource_id),
            },
        }
    )


@pytest.mark.parametrize(
    "named",
    [
        {"Ref": "Config"},
        {"Fn::GetAtt": ["Config", "EndpointConfigName"]},
        {"Fn::Sub": "${Config.EndpointConfigName}"},
        "churn-config",
        "arn:aws:sagemaker:eu-west-1:111122223333:endpoint-config/churn-config",
        {
            "Fn::Sub": "arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:endpoint-config/churn-config"
        },
        {
            "Fn::Sub": "arn:aws:sagemaker:${AWS::Region}:${AWS::AccountId}:endpoint-config/${Config.EndpointConfigName}"
        },
    ],
)
def test_an_endpoint_has_the_configuration_that_it_names_in_any_way(named: Any) -> None:
    of = app(
        {"Resources": {"Config": config("m", EndpointConfigName="churn-config"), "Endpoint": endpoint(named)}}
    )
    assert config_of(node(of, "Endpoint")) is node(of, "Config")
    assert endpoints_of(node(of, "Config")) == [node(of, "Endpoint")]


@pytest.mark.parametrize(
    "named", ["another", {"Ref": "Name"}, {"Fn::Sub": "${Config.EndpointConfigName}-next"}, {"Ref": "Model"}]
)
def test_an_endpoint_has_no_configuration_of_the_run_when_it_names_another(named: Any) -> None:
    resources = {"Config": config("m"), "Model": MODEL, "Endpoint": endpoint(named)}
    of = app({"Parameters": {"Name": {"Type": "String"}}, "Resources": resources})
    assert config_of(node(of, "Endpoint")) is None


def test_of_two_configurations_of_one_name_the_one_in_the_same_template_is_meant() -> None:
    resources = {"Config": config("m", EndpointConfigName="churn"), "Endpoint": endpoint("churn")}
    of = graph(read("Dev", {"Resources": resources}), read("Prod", {"Resources": resources}))
    for each in of.nodes("AWS::SageMaker::Endpoint"):
        found = config_of(each)
        assert found is not None
        assert found.scope is each.scope


@pytest.mark.parametrize(
    "resource_id",
    [
        {"Fn::Join": ["", ["endpoint/", BY_GET_ATT, "/variant/V0"]]},
        {"Fn::Join": ["/", ["endpoint", BY_GET_ATT, "variant", "V0"]]},
        {"Fn::Sub": "endpoint/${Endpoint.EndpointName}/variant/V0"},
        {"Fn::Sub": ["endpoint/${E}/variant/${V}", {"E": BY_GET_ATT, "V": "V0"}]},
        {"Fn::Sub": "endpoint/${Endpoint}/variant/V0"},
        "endpoint/churn/variant/V0",
    ],
)
def test_a_scalable_target_is_found_however_its_resource_id_is_written(resource_id: Any) -> None:
    of = scaled(resource_id, EndpointName="churn")
    churn, first = node(of, "Endpoint"), variants(node(of, "Config"))[0]
    assert scalable_targets(churn, first) == [node(of, "Target")]
    assert scalable_targets(churn) == [node(of, "Target")]
    found = variant_of(node(of, "Target"))
    assert found is not None
    assert (found[0], found[1]["VariantName"].literal) == (churn, "V0")


@pytest.mark.parametrize(
    "resource_id",
    [
        "endpoint/another/variant/V0",
        {"Fn::Sub": "endpoint/${Endpoint.EndpointName}/variant/V1"},
        {"Fn::Sub": "endpoint/${Endpoint.EndpointName}-next/variant/V0"},
        {"Fn::Sub": "endpoint/${Endpoint.EndpointName}"},
        "service/cluster/churn",
    ],
)
def test_a_scalable_target_of_something_else_is_not_the_variants(resource_id: Any) -> None:
    of = scaled(resource_id, EndpointName="churn")
    churn, first = node(of, "Endpoint"), variants(node(of, "Config"))[0]
    assert scalable_targets(churn, first) == []
    assert targets_that_may_scale(churn, first) == []
    assert variant_of(node(of, "Target")) is None


@pytest.mark.parametrize(
    "resource_id",
    [
        {"Ref": "Name"},
        {"Fn::Sub": "endpoint/${Name}/variant/V0"},
        {"Fn::Sub": "endpoint/${Endpoint.EndpointName}/variant/${Name}"},
        {"Fn::ImportValue": "not-in-this-run"},
    ],
)
def test_a_target_that_names_something_open_may_scale_the_variant(resource_id: Any) -> None:
    of = scaled(resource_id)
    churn, first = node(of, "Endpoint"), variants(node(of, "Config"))[0]
    assert scalable_targets(churn, first) == []
    assert targets_that_may_scale(churn, first) == [node(of, "Target")]


def test_a_target_with_a_name_may_scale_an_endpoint_whose_name_is_a_parameter() -> None:
    of = scaled("endpoint/churn/variant/V0", EndpointName={"Ref": "Name"})
    first = variants(node(of, "Config"))[0]
    assert targets_that_may_scale(node(of, "Endpoint"), first) == [node(of, "Target")]


def test_a_target_in_another_stack_is_found_through_an_export() -> None:
    hosting = {
        "Resources": {"Config": config("m"), "Endpoint": endpoint({"Ref": "Config"})},
        "Outputs": {"Name": {"Value": BY_GET_ATT, "Export": {"Name": "churn-endpoint"}}},
    }
    resource_id = {"Fn::Join": ["", ["endpoint/", {"Fn::ImportValue": "churn-endpoint"}, "/variant/V0"]]}
    of = graph(read("Hosting", hosting), read("Scaling", {"Resources": {"Target": target(resource_id)}}))
    assert scalable_targets(node(of, "Endpoint"), variants(node(of, "Config"))[0]) == [node(of, "Target")]


def test_a_target_in_another_stack_is_found_through_a_stack_output() -> None:
    hosting = {
        "Resources": {"Config": config("m"), "Endpoint": endpoint({"Ref": "Config"})},
        "Outputs": {"Name": {"Value": BY_GET_ATT}},
    }
    name = {"Fn::GetStackOutput": {"StackName": "Hosting", "OutputName": "Name"}}
    resource_id = {"Fn::Join": ["", ["endpoint/", name, "/variant/V0"]]}
    of = graph(read("Hosting", hosting), read("Scaling", {"Resources": {"Target": target(resource_id)}}))
    assert scalable_targets(node(of, "Endpoint"), variants(node(of, "Config"))[0]) == [node(of, "Target")]


@pytest.mark.parametrize(
    "properties",
    [
        {"ScalingTargetId": {"Ref": "Target"}},
        {"ScalableTargetId": {"Ref": "Target"}},
        {
            "ServiceNamespace": "sagemaker",
            "ScalableDimension": COUNT,
            "ResourceId": {"Fn::Sub": "endpoint/${Endpoint}/variant/V0"},
        },
    ],
)
def test_a_policy_belongs_to_a_target_by_reference_or_by_what_it_scales(properties: Any) -> None:
    of = app(
        {
            "Resources": {
                "Config": config("m"),
                "Endpoint": endpoint({"Ref": "Config"}),
                "Target": target({"Fn::Sub": "endpoint/${Endpoint.EndpointName}/variant/V0"}),
                "Policy": policy(**properties),
            }
        }
    )
    assert target_of(node(of, "Policy")) is node(of, "Target")
    assert policies_of(node(of, "Target")) == [node(of, "Policy")]
    assert is_of_sagemaker(node(of, "Policy"))


@pytest.mark.parametrize(
    "properties",
    [
        {
            "ServiceNamespace": "sagemaker",
            "ScalableDimension": "sagemaker:variant:DesiredProvisionedConcurrency",
        },
        {"ServiceNamespace": "ecs", "ScalableDimension": COUNT},
        {"ScalingTargetId": {"Ref": "Config"}},
    ],
)
def test_a_policy_of_something_else_is_not_the_targets(properties: Any) -> None:
    of = app(
        {
            "Resources": {
                "Config": config("m"),
                "Target": target("endpoint/churn/variant/V0"),
                "Policy": policy(ResourceId="endpoint/churn/variant/V0", **properties),
            }
        }
    )
    assert policies_of(node(of, "Target")) == []


def test_a_target_of_another_service_is_none_of_sagemakers() -> None:
    resources = {"Target": target("service/cluster/churn", "ecs:service:DesiredCount")}
    resources["Target"]["Properties"]["ServiceNamespace"] = "ecs"
    assert not is_of_sagemaker(node(app({"Resources": resources}), "Target"))


def test_inference_components_belong_to_the_variant_they_name_or_to_all() -> None:
    def component(**properties: Any) -> dict[str, Any]:
        specification = {"ModelName": {"Fn::GetAtt": ["Model", "ModelName"]}}
        given = {"EndpointName": BY_GET_ATT, "Specification": specification, **properties}
        return {"Type": "AWS::SageMaker::InferenceComponent", "Properties": given}

    of = app(
        {
            "Resources": {
                "Model": MODEL,
                "Config": config("a", "b"),
                "Endpoint": endpoint({"Ref": "Config"}),
                "OnFirst": component(VariantName="V0"),
                "OnAny": component(),
                "Elsewhere": component(EndpointName="another"),
                "Target": target(
                    {"Fn::Sub": "inference-component/${OnFirst.InferenceComponentName}"},
                    "sagemaker:inference-component:DesiredCopyCount",
                ),
            }
        }
    )
    first, second = variants(node(of, "Config"))
    on_first, on_any = node(of, "OnFirst"), node(of, "OnAny")
    assert components_on(node(of, "Endpoint")) == [on_first, on_any]
    assert components_on(node(of, "Endpoint"), first) == [on_first, on_any]
    assert components_on(node(of, "Endpoint"), second) == [on_any]
    assert component_targets(on_first) == [node(of, "Target")]
    assert component_targets(on_any) == []
    assert models_of(node(of, "Config")) == [node(of, "Model")]


def test_models_of_a_configuration_are_those_of_production_and_shadow_variants() -> None:
    shadow = [{"VariantName": "Shadow", "ModelName": {"Fn::GetAtt": ["Next", "ModelName"]}}]
    of = app(
        {
            "Resources": {
                "Model": MODEL,
                "Next": MODEL,
                "Config": config({"Ref": "Model"}, {"Ref": "Model"}, ShadowProductionVariants=shadow),
            }
        }
    )
    assert models_of(node(of, "Config")) == [node(of, "Model"), node(of, "Next")]


def test_a_model_is_only_serverless_while_nothing_else_uses_it() -> None:
    serverless = config()
    serverless["Properties"]["ProductionVariants"] = [
        {"VariantName": "V", "ModelName": {"Ref": "Model"}, **SERVERLESS}
    ]
    alone = {"Model": MODEL, "Config": serverless}
    assert only_serverless(node(app({"Resources": alone}), "Model"))
    for name, other in {
        "instances": config({"Ref": "Model"}),
        "shadow": config("m", ShadowProductionVariants=[{"VariantName": "S", "ModelName": {"Ref": "Model"}}]),
        "batch": machine(
            "arn:aws:states:::sagemaker:createTransformJob.sync",
            {"ModelName": {"Fn::GetAtt": ["Model", "ModelName"]}},
        ),
        "workflow": machine(
            "arn:aws:states:::sagemaker:createEndpointConfig",
            {
                "ProductionVariants": [
                    {"ModelName": {"Fn::GetAtt": ["Model", "ModelName"]}, "InstanceType": "ml.m5.large"}
                ]
            },
        ),
        "experiment": {
            "Type": "AWS::SageMaker::InferenceExperiment",
            "Properties": {"ModelVariants": [{"ModelName": {"Fn::GetAtt": ["Model", "ModelName"]}}]},
        },
    }.items():
        of = app({"Resources": {**alone, "Other": other}})
        assert not only_serverless(node(of, "Model")), name


def test_a_model_that_nobody_uses_is_not_serverless() -> None:
    assert not only_serverless(node(app({"Resources": {"Model": MODEL}}), "Model"))


def test_a_model_of_transform_jobs_alone_is_used_in_batch() -> None:
    batch = machine("arn:aws:states:::sagemaker:createTransformJob.sync", {"ModelName": "nightly"})
    of = app({"Resources": {"Model": {**MODEL, "Properties": {"ModelName": "nightly"}}, "Nightly": batch}})
    assert uses_of(node(of, "Model")) == {"batch"}
