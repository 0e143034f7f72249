"""Endpoints in ways that one changed property cannot say: several stacks, several variants, other kinds."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ml_lens.rules.engine import judge
from ml_lens.rules.options import Options
from ml_lens.rules.templates import TemplateFile
from tests.rules.cases.hosting import CONFIG, FEATURES, HOSTED, MODEL, NETWORK, SERVERLESS, VARIANT
from tests.rules.cases.scaling import ARTIFACTS, COPIES, COUNT, MANAGED, REAL_TIME, SCALED, TRACKING
from tests.rules.fixtures import Body, said, template, told

Resources = dict[str, Any]


def found(rule: str, resources: Mapping[str, Any], **options: Any) -> list[tuple[str | None, str, str]]:
    return told(said(rule, template(resources), options))


def changed(resources: Mapping[str, Any], resource: str, **properties: Any) -> Resources:
    after = copy.deepcopy(dict(resources))
    after[resource].setdefault("Properties", {}).update(properties)
    return after


def with_variants(resources: Mapping[str, Any], *variants: Any, **properties: Any) -> Resources:
    return changed(resources, "Config", ProductionVariants=list(variants), **properties)


def without(resources: Mapping[str, Any], *names: str) -> Resources:
    return {name: body for name, body in resources.items() if name not in names}


def told_of_stacks(rule: str, **stacks: Mapping[str, Any]) -> list[tuple[str | None, str, str]]:
    read = [
        TemplateFile(Path(f"{name}.template.json"), f"{name}.template.json", template(**body), name, {})
        for name, body in stacks.items()
    ]
    return told([each for each in judge(read, Options()) if each.rule == f"MLLens-{rule}"])


def in_two_stacks(name_elsewhere: Any, *, export: bool) -> dict[str, Mapping[str, Any]]:
    """Return the endpoint in one stack, what scales and watches it in another."""
    beside = {name: copy.deepcopy(SCALED[name]) for name in ("Target", "Policy")}
    beside["Target"]["Properties"]["ResourceId"] = {
        "Fn::Join": ["", ["endpoint/", name_elsewhere, "/variant/AllTraffic"]]
    }
    output: Resources = {"Value": {"Fn::GetAtt": ["Endpoint", "EndpointName"]}}
    if export:
        output["Export"] = {"Name": "churn-endpoint"}
    hosting = without(SCALED, "Target", "Policy")
    return {
        "Hosting": {"resources": hosting, "Outputs": {"Name": output}},
        "Scaling": {"resources": beside},
    }


# Models


@pytest.mark.parametrize("rule", ["SEC03-ModelInVpc", "SEC03-ModelNetworkIsolation"])
def test_a_model_of_serverless_variants_alone_needs_no_network(rule: str) -> None:
    bare = {**HOSTED, "Model": {"Type": "AWS::SageMaker::Model"}}
    assert found(rule, with_variants(bare, SERVERLESS)) == []
    assert found(rule, with_variants(bare, VARIANT)) == [(None, "error", "Model")]
    assert found(rule, with_variants(bare, SERVERLESS, VARIANT)) == [(None, "error", "Model")]


@pytest.mark.parametrize("rule", ["SEC03-ModelInVpc", "SEC03-ModelNetworkIsolation"])
def test_a_model_that_the_app_does_not_use_is_judged(rule: str) -> None:
    assert found(rule, {"Model": {"Type": "AWS::SageMaker::Model"}}) == [(None, "error", "Model")]


@pytest.mark.parametrize("rule", ["SEC03-ModelInVpc", "SEC03-ModelNetworkIsolation"])
def test_a_serverless_model_that_a_state_machine_uses_in_batch_is_judged(rule: str) -> None:
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sagemaker:createTransformJob.sync",
        "Parameters": {"ModelName": {"Fn::GetAtt": ["Model", "ModelName"]}},
        "End": True,
    }
    nightly = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {"DefinitionString": Body(StartAt="Transform", States={"Transform": task})},
    }
    bare = {**HOSTED, "Model": {"Type": "AWS::SageMaker::Model"}, "Nightly": nightly}
    assert found(rule, with_variants(bare, SERVERLESS)) == [(None, "error", "Model")]


# Encryption


def test_instances_with_disks_of_their_own_need_no_key_for_volumes() -> None:
    keyless = changed(HOSTED, "Config")
    del keyless["Config"]["Properties"]["KmsKeyId"]
    for instance_type in ("ml.g5.xlarge", "ml.m5d.large", "ml.g4dn.xlarge"):
        assert (
            found(
                "SEC03-EndpointEncrypted", with_variants(keyless, {**VARIANT, "InstanceType": instance_type})
            )
            == []
        )
    assert found("SEC03-EndpointEncrypted", keyless) == [("volume", "error", "Config")]


def test_a_configuration_of_serverless_variants_has_no_volumes() -> None:
    assert (
        found(
            "SEC03-EndpointEncrypted",
            {"Config": {**CONFIG, "Properties": {"ProductionVariants": [SERVERLESS]}}},
        )
        == []
    )


def test_serverless_variants_are_reported_once_and_named() -> None:
    second = {**SERVERLESS, "VariantName": "Second"}
    [finding] = said("SEC03-ServerlessLimits", template(with_variants(HOSTED, SERVERLESS, second)), {})
    assert finding.message.startswith("OnDemand, Second is serverless")


def test_a_store_that_is_not_there_needs_no_key() -> None:
    rule = "SEC03-FeatureAndExperimentKms"
    assert found(rule, {"Features": {"Type": "AWS::SageMaker::FeatureGroup", "Properties": {}}}) == []
    in_memory = {"EnableOnlineStore": True, "StorageType": "InMemory"}
    features = {"Type": "AWS::SageMaker::FeatureGroup", "Properties": {"OnlineStoreConfig": in_memory}}
    assert found(rule, {"Features": features}) == []


def test_an_experiment_on_instances_with_disks_of_their_own_needs_no_key_for_volumes() -> None:
    experiment = copy.deepcopy(FEATURES["Experiment"])
    del experiment["Properties"]["KmsKey"]
    assert found("SEC03-FeatureAndExperimentKms", {"Experiment": experiment}) == [
        (None, "error", "Experiment")
    ]
    infrastructure = experiment["Properties"]["ModelVariants"][0]["InfrastructureConfig"]
    infrastructure["RealTimeInferenceConfig"]["InstanceType"] = "ml.g5.xlarge"
    assert found("SEC03-FeatureAndExperimentKms", {"Experiment": experiment}) == []


# Data capture


def test_serverless_endpoints_cannot_capture_data() -> None:
    config = {"Type": "AWS::SageMaker::EndpointConfig", "Properties": {"ProductionVariants": [SERVERLESS]}}
    assert found("OPS05-DataCaptureEnabled", {"Config": config}) == []


def test_one_capture_mode_may_stand_for_both_directions() -> None:
    capture = {
        **CONFIG["Properties"]["DataCaptureConfig"],
        "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
    }
    assert found("OPS05-DataCaptureEnabled", changed(HOSTED, "Config", DataCaptureConfig=capture)) == []


# Rollback


def test_a_rolling_update_needs_no_wait() -> None:
    deployment = {
        **SCALED["Endpoint"]["Properties"]["DeploymentConfig"],
        "RollingUpdatePolicy": {"WaitIntervalInSeconds": 60},
    }
    del deployment["BlueGreenUpdatePolicy"]
    assert found("REL01-RollbackAlarms", changed(SCALED, "Endpoint", DeploymentConfig=deployment)) == []


def test_every_alarm_that_is_named_has_to_watch_the_endpoint() -> None:
    another = copy.deepcopy(SCALED["Errors"])
    another["Properties"]["Dimensions"][0]["Value"] = "another-endpoint"
    app = {**copy.deepcopy(SCALED), "Another": another}
    rollback = app["Endpoint"]["Properties"]["DeploymentConfig"]["AutoRollbackConfiguration"]
    rollback["Alarms"].append({"AlarmName": {"Ref": "Another"}})
    [finding] = said("REL01-RollbackAlarms", template(app), {})
    assert "names Another, which does not watch this endpoint" in finding.message


def test_an_alarm_in_another_stack_watches_the_endpoint() -> None:
    errors = copy.deepcopy(SCALED["Errors"])
    errors["Properties"]["AlarmName"] = "churn-errors"
    errors["Properties"]["Dimensions"][0]["Value"] = {
        "Fn::GetStackOutput": {"StackName": "Hosting", "OutputName": "Name"}
    }
    hosting = copy.deepcopy(without(SCALED, "Errors"))
    rollback = hosting["Endpoint"]["Properties"]["DeploymentConfig"]["AutoRollbackConfiguration"]
    rollback["Alarms"] = [{"AlarmName": "churn-errors"}]
    outputs = {"Name": {"Value": {"Fn::GetAtt": ["Endpoint", "EndpointName"]}}}
    stacks = {
        "Hosting": {"resources": hosting, "Outputs": outputs},
        "Alarms": {"resources": {"Errors": errors}},
    }
    assert told_of_stacks("REL01-RollbackAlarms", **stacks) == []
    errors["Properties"]["Dimensions"][0]["Value"] = "another"
    assert told_of_stacks("REL01-RollbackAlarms", **stacks) == [(None, "error", "Endpoint")]


# Names and versions


@pytest.mark.parametrize(
    "name",
    ["churn-v3", "churn-17", "churn-2024-05-01", "churn-3f2a9c1", {"Fn::Sub": "churn-${ModelVersion}"}],
)
def test_a_name_with_a_version_in_it_changes_with_the_model(name: Any) -> None:
    app = template(changed(HOSTED, "Model", ModelName=name))
    app["Parameters"]["ModelVersion"] = {"Type": "String"}
    assert told(said("REL01-NoHardcodedNames", app, {})) == []


@pytest.mark.parametrize("name", ["resnet50", "churn", "defaced-model", "decade", "churn_model"])
def test_letters_and_digits_inside_a_word_are_no_version(name: str) -> None:
    assert found("REL01-NoHardcodedNames", changed(HOSTED, "Model", ModelName=name)) == [
        (None, "warning", "Model")
    ]


def test_a_model_package_needs_no_registry_in_the_app() -> None:
    assert found("REL01-ModelFromRegistry", {"Model": MODEL}) == []


def test_of_an_inference_pipeline_every_container_with_an_artifact_is_judged() -> None:
    inside = {"ModelDataUrl": {"Fn::Sub": "s3://${Artifacts}/churn/7/model.tar.gz"}}
    outside = {"ModelDataSource": {"S3DataSource": {"S3Uri": {"Fn::Sub": "s3://${Loose}/model/"}}}}
    loose = {"Type": "AWS::S3::Bucket"}

    def pipeline(*containers: Any) -> Resources:
        model = {"Type": "AWS::SageMaker::Model", "Properties": {"Containers": list(containers)}}
        return {**ARTIFACTS, "Loose": loose, "Model": model}

    assert found("REL01-ModelFromRegistry", pipeline({"Image": "features:1"}, inside)) == []
    assert found("REL01-ModelFromRegistry", pipeline(inside, outside)) == [(None, "warning", "Model")]


# Scaling


def test_every_variant_that_does_not_scale_is_named_in_one_finding() -> None:
    second, third = ({**VARIANT, "VariantName": name} for name in ("Second", "Third"))
    [finding] = said("REL03-EndpointAutoScaling", template(with_variants(SCALED, VARIANT, second, third)), {})
    assert (finding.resource, finding.finding) == ("Endpoint", None)
    assert "nothing scales Second" in finding.message
    assert "nothing scales Third" in finding.message
    assert "AllTraffic" not in finding.message


def test_serverless_shadow_and_asynchronous_variants_need_no_scaling() -> None:
    bare = without(SCALED, "Target", "Policy")
    assert found("REL03-EndpointAutoScaling", bare) == [(None, "error", "Endpoint")]
    assert found("REL03-EndpointAutoScaling", with_variants(bare, SERVERLESS)) == []
    assert found("REL03-EndpointAutoScaling", {**bare, "Config": CONFIG}) == []
    shadow = {**VARIANT, "VariantName": "Shadow"}
    assert (
        found("REL03-EndpointAutoScaling", changed(SCALED, "Config", ShadowProductionVariants=[shadow])) == []
    )


def test_outside_production_a_fixed_size_is_a_warning() -> None:
    bare = without(SCALED, "Target", "Policy")
    assert found("REL03-EndpointAutoScaling", bare, environment="dev") == [(None, "warning", "Endpoint")]


def test_a_configuration_without_an_endpoint_is_not_asked_for_scaling() -> None:
    assert found("REL03-EndpointAutoScaling", {"Config": REAL_TIME}) == []


def test_what_scales_an_endpoint_may_be_in_another_stack() -> None:
    rule = "REL03-EndpointAutoScaling"
    imported: Any = {"Fn::ImportValue": "churn-endpoint"}
    output: Any = {"Fn::GetStackOutput": {"StackName": "Hosting", "OutputName": "Name"}}
    assert told_of_stacks(rule, **in_two_stacks(imported, export=True)) == []
    assert told_of_stacks(rule, **in_two_stacks(output, export=False)) == []
    assert told_of_stacks(rule, **in_two_stacks("another", export=True)) == [(None, "error", "Endpoint")]


def test_every_component_of_a_variant_has_to_scale() -> None:
    second = copy.deepcopy(COPIES["Component"])
    assert found("REL03-EndpointAutoScaling", {**COPIES, "Second": second}) == [(None, "error", "Endpoint")]
    second["Properties"]["Specification"]["BaseInferenceComponentName"] = "base"
    assert found("REL03-EndpointAutoScaling", {**COPIES, "Adapter": second}) == []


def test_one_open_target_leaves_a_variant_alone_that_another_scales() -> None:
    unknown = copy.deepcopy(SCALED["Target"])
    unknown["Properties"]["ResourceId"] = {"Ref": "NobodyKnows"}
    assert found("REL03-EndpointAutoScaling", {**SCALED, "Unknown": unknown}) == []


def test_scheduled_actions_alone_do_not_answer_load() -> None:
    app = changed(without(SCALED, "Policy"), "Target", ScheduledActions=[{"ScheduledActionName": "night"}])
    assert found("REL03-EndpointAutoScaling", app) == [(None, "error", "Endpoint")]


# Zones


def test_serverless_variants_have_no_instances_to_count() -> None:
    assert found("REL03-EndpointMultiAz", with_variants(HOSTED, SERVERLESS)) == []


def test_each_variant_needs_two_instances() -> None:
    single = {**VARIANT, "VariantName": "Second", "InitialInstanceCount": 1}
    assert found("REL03-EndpointMultiAz", with_variants(HOSTED, VARIANT, single)) == [
        ("count", "error", "Config")
    ]


def test_targets_of_other_services_are_left_alone_even_when_their_dimension_is_open() -> None:
    properties = {"ServiceNamespace": "ecs", "ScalableDimension": {"Ref": "NobodyKnows"}, "MinCapacity": 1}
    target = {"Type": "AWS::ApplicationAutoScaling::ScalableTarget", "Properties": properties}
    assert found("REL03-EndpointMultiAz", {"Target": target}) == []


def test_other_dimensions_may_go_down_to_one() -> None:
    assert found("REL03-EndpointMultiAz", COPIES) == []
    dynamo = {
        "ServiceNamespace": "dynamodb",
        "ScalableDimension": "dynamodb:table:ReadCapacityUnits",
        "MinCapacity": 1,
    }
    target = {
        "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
        "Properties": {**dynamo, "ResourceId": "table/t"},
    }
    assert found("REL03-EndpointMultiAz", {"Target": target}) == []


def test_two_subnets_outside_the_app_are_taken_to_lie_in_two_zones() -> None:
    for subnets in (
        ["subnet-1", "subnet-2"],
        [{"Ref": "NobodyKnows"}, {"Ref": "MaybeEmpty"}],
        [{"Ref": "SubnetA"}, "subnet-1"],
    ):
        app = changed(HOSTED, "Model", VpcConfig={"Subnets": subnets, "SecurityGroupIds": ["sg-1"]})
        assert found("REL03-EndpointMultiAz", app) == []


def test_the_same_zone_in_two_templates_is_one_zone() -> None:
    def network(index: int) -> Mapping[str, Any]:
        zone = {"Fn::Select": [index, {"Fn::GetAZs": ""}]}
        subnet = {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": "vpc-1", "AvailabilityZone": zone}}
        return {"resources": {"Subnet": subnet}, "Outputs": {"Id": {"Value": {"Ref": "Subnet"}}}}

    subnets = [{"Fn::GetStackOutput": {"StackName": stack, "OutputName": "Id"}} for stack in ("One", "Two")]
    model = {"Type": "AWS::SageMaker::Model", "Properties": {"VpcConfig": {"Subnets": subnets}}}
    hosting = {"resources": {"Model": model}}
    rule = "REL03-EndpointMultiAz"
    assert told_of_stacks(rule, One=network(0), Two=network(0), Hosting=hosting) == [("az", "error", "Model")]
    assert told_of_stacks(rule, One=network(0), Two=network(1), Hosting=hosting) == []


def test_a_model_without_a_network_or_for_serverless_variants_is_not_asked_for_zones() -> None:
    assert found("REL03-EndpointMultiAz", {"Model": {"Type": "AWS::SageMaker::Model"}}) == []
    one_zone = changed(HOSTED, "Model", VpcConfig={"Subnets": ["subnet-1"]})
    assert found("REL03-EndpointMultiAz", one_zone) == [("az", "error", "Model")]
    assert found("REL03-EndpointMultiAz", with_variants(one_zone, SERVERLESS)) == []


# Updates


def test_an_endpoint_of_fixed_size_has_no_capacity_to_retain() -> None:
    fixed = changed(without(SCALED, "Target", "Policy"), "Endpoint", RetainAllVariantProperties=False)
    assert found("REL03-RetainVariantProperties", fixed) == []


def test_capacity_counted_in_copies_or_concurrency_is_not_reset() -> None:
    copies = changed(COPIES, "Endpoint", RetainAllVariantProperties=False)
    assert found("REL03-RetainVariantProperties", copies) == []
    dimension = "sagemaker:variant:DesiredProvisionedConcurrency"
    concurrency = changed(SCALED, "Target", ScalableDimension=dimension)
    assert (
        found(
            "REL03-RetainVariantProperties",
            changed(concurrency, "Endpoint", RetainAllVariantProperties=False),
        )
        == []
    )


def test_nobody_knows_what_to_retain_while_the_target_is_open() -> None:
    app = changed(SCALED, "Endpoint", RetainAllVariantProperties=False)
    app = changed(app, "Target", ResourceId={"Ref": "NobodyKnows"})
    assert found("REL03-RetainVariantProperties", app) == [("unresolved:ResourceId", "warning", "Target")]
    assert (
        found("REL03-RetainVariantProperties", changed(app, "Endpoint", RetainAllVariantProperties=True))
        == []
    )


# Metrics


def step(**properties: Any) -> Resources:
    return {
        "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
        "Properties": {"PolicyType": "StepScaling", "ScalingTargetId": {"Ref": "Target"}, **properties},
    }


def test_a_step_policy_beside_target_tracking_is_left_alone() -> None:
    assert found("PER02-ScalingMetricFit", {**SCALED, "Wake": step()}) == []
    assert found("PER02-ScalingMetricFit", {**SCALED, "Policy": step()}) == [(None, "warning", "Policy")]


def test_policies_of_other_services_are_left_alone() -> None:
    policy = step(
        ServiceNamespace="ecs", ScalableDimension="ecs:service:DesiredCount", ResourceId="service/a/b"
    )
    del policy["Properties"]["ScalingTargetId"]
    assert found("PER02-ScalingMetricFit", {"Policy": policy}) == []
    assert found("COST04-EndpointCanScaleIn", {"Policy": policy}) == []


@pytest.mark.parametrize(
    "metric",
    [{"MetricName": "Load", "Namespace": "Churn"}, {"Metrics": [{"Id": "load", "Expression": "a/b"}]}],
)
def test_a_metric_of_yours_is_as_good(metric: Any) -> None:
    tracking = {**SCALED["Policy"]["Properties"][TRACKING], "CustomizedMetricSpecification": metric}
    del tracking["PredefinedMetricSpecification"]
    assert found("PER02-ScalingMetricFit", changed(SCALED, "Policy", **{TRACKING: tracking})) == []


# Cost


def test_a_range_of_one_parameter_is_no_range() -> None:
    same = changed(
        SCALED, "Target", MinCapacity={"Ref": "NobodyKnowsNumber"}, MaxCapacity={"Ref": "NobodyKnowsNumber"}
    )
    assert found("COST04-EndpointCanScaleIn", same) == [(None, "warning", "Target")]


def test_outside_production_an_endpoint_that_always_runs_is_reported() -> None:
    rule = "COST04-EndpointCanScaleIn"
    assert found(rule, SCALED) == []
    assert found(rule, SCALED, environment="dev") == [(None, "warning", "Endpoint")]
    assert found(rule, with_variants(SCALED, SERVERLESS), environment="dev") == []
    assert found(rule, {**SCALED, "Config": CONFIG}, environment="dev") == []


def test_outside_production_a_scheduled_action_or_managed_scaling_may_reach_zero() -> None:
    rule = "COST04-EndpointCanScaleIn"
    night = {"ScheduledActionName": "night", "ScalableTargetAction": {"MinCapacity": 0, "MaxCapacity": 0}}
    assert found(rule, changed(SCALED, "Target", ScheduledActions=[night]), environment="dev") == []
    assert found(rule, MANAGED, environment="dev") == [(None, "warning", "Endpoint")]
    to_zero = {**VARIANT, "ManagedInstanceScaling": {"Status": "ENABLED", "MinInstanceCount": 0}}
    assert found(rule, with_variants(MANAGED, to_zero), environment="dev") == []


def test_outside_production_a_schedule_may_delete_the_endpoint() -> None:
    def schedule(request: Any) -> Resources:
        target = {
            "Arn": "arn:aws:scheduler:::aws-sdk:sagemaker:deleteEndpoint",
            "Input": Body(EndpointName=request),
        }
        return {"Type": "AWS::Scheduler::Schedule", "Properties": {"Target": target}}

    own = {**SCALED, "Evening": schedule({"Fn::GetAtt": ["Endpoint", "EndpointName"]})}
    assert found("COST04-EndpointCanScaleIn", own, environment="dev") == []
    another = {**SCALED, "Evening": schedule("another")}
    assert found("COST04-EndpointCanScaleIn", another, environment="dev") == [(None, "warning", "Endpoint")]


def test_outside_production_a_scheduled_state_machine_may_delete_the_endpoint() -> None:
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:sagemaker:deleteEndpoint",
        "Parameters": {"EndpointName": {"Fn::GetAtt": ["Endpoint", "EndpointName"]}},
        "End": True,
    }
    machine = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {"DefinitionString": Body(StartAt="Delete", States={"Delete": task})},
    }
    target = {"Arn": {"Fn::GetAtt": ["Machine", "Arn"]}, "RoleArn": "arn:aws:iam::111122223333:role/evening"}
    evening = {
        "Type": "AWS::Scheduler::Schedule",
        "Properties": {"ScheduleExpression": "cron(0 20 * * ? *)", "Target": target},
    }
    rule = "COST04-EndpointCanScaleIn"
    assert found(rule, {**SCALED, "Machine": machine, "Evening": evening}, environment="dev") == []
    assert found(rule, {**SCALED, "Machine": machine}, environment="dev") == [(None, "warning", "Endpoint")]


def test_a_target_that_scales_something_outside_the_app_is_judged_by_itself() -> None:
    alone = {"Target": copy.deepcopy(SCALED["Target"]), **NETWORK}
    alone["Target"]["Properties"].update(
        ResourceId="endpoint/elsewhere/variant/A", MinCapacity=1, MaxCapacity=1
    )
    assert alone["Target"]["Properties"]["ScalableDimension"] == COUNT
    assert found("REL03-EndpointMultiAz", alone) == [("min", "error", "Target")]
    assert found("COST04-EndpointCanScaleIn", alone) == [(None, "warning", "Target")]
