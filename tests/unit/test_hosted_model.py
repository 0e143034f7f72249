"""A model that answers calls: what is created, what scales it and what watches it."""

import json
from dataclasses import replace
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ecr as ecr

from ml_lens.foundation import MlNetwork, Posture
from ml_lens.hosting import (
    EndpointNetwork,
    Instances,
    ModelArtifact,
    ModelImage,
    ServedModel,
    Serverless,
)
from tests.stacks.synthesis import new_app
from tests.stacks.template import text
from tests.unit.serving import (
    ALARM,
    CONFIG,
    ENDPOINT,
    KEY,
    LOGS,
    MODEL,
    PRODUCTION,
    SANDBOX,
    SCALING,
    TARGET,
    TEN,
    host,
    model,
    name,
    network_of,
    problems,
    resource,
    said,
    serverless,
    template,
    variant,
)


@pytest.fixture
def stack(tmp_path: Path) -> cdk.Stack:
    return cdk.Stack(new_app(tmp_path), "Serving")


@pytest.mark.lens("HST-02", "HST-05", "STD-01", "STD-02", "STD-03")
def test_one_variant_gets_all_traffic(stack: cdk.Stack) -> None:
    host(stack)
    made = template(stack)
    assert variant(made) == {
        "VariantName": "AllTraffic",
        "ModelName": {"Fn::GetAtt": [made.id(MODEL, "ChurnModel"), "ModelName"]},
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 2,
        "InitialVariantWeight": 1,
    }
    config = made.id(CONFIG, "ChurnConfig")
    assert made.only(ENDPOINT)["EndpointConfigName"] == {"Fn::GetAtt": [config, "EndpointConfigName"]}


@pytest.mark.lens("HST-04", "F8-01")
def test_a_new_version_keeps_the_endpoint_and_its_variant(tmp_path: Path) -> None:
    made = []
    for version in (1, 2):
        stack = cdk.Stack(new_app(tmp_path / str(version)), "Serving")
        host(stack, model=model(stack, version))
        made.append(template(stack))
    before, after = made
    assert made[0].only(MODEL) != made[1].only(MODEL)
    assert name(before) == name(after)
    assert before.id(ENDPOINT, "Churn") == after.id(ENDPOINT, "Churn")
    assert variant(before) == variant(after)
    # What every version replaces has no name of its own: a name can be taken only once.
    for each in made:
        assert "ModelName" not in each.only(MODEL)
        assert "EndpointConfigName" not in each.only(CONFIG)


def test_the_name_of_an_endpoint_suits_sagemaker_and_iam(stack: cdk.Stack) -> None:
    host(stack, id="AnEndpointWhoseIdIsLongerThanWhatSageMakerTakesForTheNameOfAnEndpoint")
    found = name(template(stack))
    assert len(found) <= 63
    assert found == found.lower()
    assert found.replace("-", "").isalnum()


def test_a_sandbox_runs_on_what_a_new_account_may_use(stack: cdk.Stack) -> None:
    host(stack, posture=SANDBOX)
    made = template(stack)
    assert variant(made)["InstanceType"] == "ml.t2.medium"
    assert variant(made)["InitialInstanceCount"] == 1
    assert "DeploymentConfig" not in made.only(ENDPOINT)


@pytest.mark.lens("F9-06")
def test_production_rolls_back_by_its_own_alarms(stack: cdk.Stack) -> None:
    host(stack)
    made = template(stack)
    config = made.only(ENDPOINT)["DeploymentConfig"]
    watching = [
        made.resources(ALARM)[alarm["AlarmName"]["Ref"]]
        for alarm in config["AutoRollbackConfiguration"]["Alarms"]
    ]
    assert [alarm["MetricName"] for alarm in watching] == ["Invocation5XXErrors", "ModelLatency"]
    for alarm in watching:
        dimensions = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
        assert dimensions == {"EndpointName": name(made), "VariantName": "AllTraffic"}
    assert config["BlueGreenUpdatePolicy"]["TerminationWaitInSeconds"] == 1800


@pytest.mark.lens("MDL-04", "MDL-05", "SCL-04", "ISO-01")
def test_the_container_is_isolated_in_subnets_of_two_zones(stack: cdk.Stack) -> None:
    host(stack)
    made = template(stack)
    properties = made.only(MODEL)
    assert properties["EnableNetworkIsolation"] is True
    subnets = [made.resources()[subnet["Ref"]] for subnet in properties["VpcConfig"]["Subnets"]]
    assert len({json.dumps(subnet["AvailabilityZone"]) for subnet in subnets}) == 2
    (group,) = properties["VpcConfig"]["SecurityGroupIds"]
    assert group["Fn::GetAtt"][0] == made.id("AWS::EC2::SecurityGroup", "Group0")
    assert made.only(TARGET)["MinCapacity"] == 2


@pytest.mark.lens("MDL-06")
def test_volumes_are_encrypted_with_a_customer_key(stack: cdk.Stack) -> None:
    host(stack)
    made = template(stack)
    key = made.id(KEY, "ChurnKey")
    assert made.only(CONFIG)["KmsKeyId"] == {"Fn::GetAtt": [key, "Arn"]}
    (granting,) = said(made, "kms:CreateGrant")
    assert granting.resources == (f"<{key}.Arn>",)
    assert granting.condition == {"Bool": {"kms:GrantIsForAWSResource": "true"}}


@pytest.mark.parametrize("type", ["ml.g5.xlarge", "ml.m5d.large", "ml.p4d.24xlarge"])
def test_disks_that_their_hardware_encrypts_take_no_key(stack: cdk.Stack, type: str) -> None:
    host(stack, capacity=Instances(type=type))
    made = template(stack)
    assert "KmsKeyId" not in made.only(CONFIG)
    assert said(made, "kms:CreateGrant") == []


@pytest.mark.parametrize(("type", "refused"), [("ml.c7g.large", True), ("ml.g5.xlarge", False)])
def test_images_of_aws_do_not_run_on_graviton(stack: cdk.Stack, type: str, refused: bool) -> None:
    capacity = Instances(type=type)
    if refused:
        (found,) = problems(stack, capacity=capacity)
        assert found.startswith("model.image: AWS makes sagemaker-xgboost:3.0-5 for x86 only")
        ours = ModelImage.in_repository(ecr.Repository(stack, "Ours"), tag="1")
        given = replace(model(stack), image=ours)
        host(stack, capacity=capacity, model=given, network=network_of(stack))
    else:
        host(stack, capacity=capacity)


@pytest.mark.lens("LOG-02", "LOG-03")
@pytest.mark.parametrize(("posture", "days"), [(SANDBOX, 7), (PRODUCTION, 365)])
def test_logs_are_encrypted_kept_and_there_before_the_endpoint(
    stack: cdk.Stack, posture: Posture, days: int
) -> None:
    host(stack, posture=posture)
    made = template(stack)
    group = made.id(LOGS, "ChurnLogs")
    assert made.resources()[group] == {
        "LogGroupName": f"/aws/sagemaker/Endpoints/{name(made)}",
        "KmsKeyId": {"Fn::GetAtt": [made.id(KEY, "ChurnKey"), "Arn"]},
        "RetentionInDays": days,
    }
    assert group in resource(made, ENDPOINT)["DependsOn"]
    policy = made.one(KEY, "ChurnKey")["KeyPolicy"]["Statement"]
    assert [each["Sid"] for each in policy if "logs." in json.dumps(each["Principal"])] == ["LogGroups"]


def test_an_endpoint_comes_after_the_way_to_s3_and_goes_before_its_bucket_is_emptied(
    stack: cdk.Stack,
) -> None:
    host(stack, posture=SANDBOX)
    made = template(stack)
    after = resource(made, ENDPOINT)["DependsOn"]
    assert made.id("AWS::EC2::VPCEndpoint", "VpcS3") in after
    assert made.id("Custom::EmptiedBucket", "ChurnCapturedEmptied") in after


def test_an_ml_network_connects_what_hosting_needs(stack: cdk.Stack) -> None:
    inside = MlNetwork(stack, "Network", posture=PRODUCTION)
    host(stack, network=EndpointNetwork.within(inside))
    made = template(stack)
    config = made.only(MODEL)["VpcConfig"]
    assert [subnet["Ref"] for subnet in config["Subnets"]] == [
        stack.resolve(id)["Ref"] for id in inside.subnet_ids
    ]
    (group,) = config["SecurityGroupIds"]
    assert group == stack.resolve(inside.security_group.security_group_id)
    endpoints = made.resources("AWS::EC2::VPCEndpoint")
    assert len(endpoints) > 1
    assert set(endpoints) <= set(resource(made, ENDPOINT)["DependsOn"])


def test_a_model_waits_for_the_rights_of_its_role(stack: cdk.Stack) -> None:
    host(stack)
    made = template(stack)
    assert made.id("AWS::IAM::Policy", "ChurnRoleDefaultPolicy") in resource(made, MODEL)["DependsOn"]


@pytest.mark.lens("SCL-01", "SCL-05", "SCL-09", "MON-03", "CIN-02")
def test_every_variant_scales_with_its_calls(stack: cdk.Stack) -> None:
    capacity = Instances(least=3, most=9, calls_per_minute=90, scale_in_cooldown=TEN)
    host(stack, capacity=capacity)
    made = template(stack)
    target = made.only(TARGET)
    endpoint = made.id(ENDPOINT, "Churn")
    assert text(target["ResourceId"]) == f"endpoint/<{endpoint}.EndpointName>/variant/AllTraffic"
    assert target["ScalableDimension"] == "sagemaker:variant:DesiredInstanceCount"
    assert (target["MinCapacity"], target["MaxCapacity"]) == (3, 9)
    assert "RoleARN" not in target
    policy = made.only(SCALING)
    assert policy["ScalingTargetId"] == {"Ref": made.id(TARGET, "ChurnScaling")}
    assert policy["TargetTrackingScalingPolicyConfiguration"] == {
        "TargetValue": 90,
        "ScaleInCooldown": 600,
        "ScaleOutCooldown": 60,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
    }
    assert made.only(ENDPOINT)["RetainAllVariantProperties"] is True


def test_a_fleet_of_fixed_size_does_not_scale(stack: cdk.Stack) -> None:
    host(stack, capacity=Instances(least=2, most=2))
    made = template(stack)
    assert made.resources(TARGET, SCALING) == {}


def test_a_file_of_this_machine_becomes_an_artifact(stack: cdk.Stack, tmp_path: Path) -> None:
    packed = tmp_path / "model.tar.gz"
    packed.write_bytes(b"packed")
    host(
        stack,
        model=ServedModel(
            image=ModelImage.scikit_learn(), artifact=ModelArtifact.from_file(packed), version="1.0.0"
        ),
    )
    made = template(stack)
    url = made.only(MODEL)["PrimaryContainer"]["ModelDataUrl"]
    assert text(url["Fn::Join"][1][-1]).endswith(".gz")
    (reading,) = said(made, "s3:GetObject")
    (arn,) = reading.resources
    assert arn.endswith(".gz")
    assert "*" not in arn


@pytest.mark.lens("HST-07")
def test_environment_variables_reach_the_container(stack: cdk.Stack) -> None:
    host(stack, model=replace(model(stack), environment={"LOG": "warning"}))
    assert template(stack).only(MODEL)["PrimaryContainer"]["Environment"] == {
        "LOG": "warning",
        "MODEL_VERSION": "1.0.0",
    }


def test_serverless_inference_has_no_instances_network_volume_or_record(stack: cdk.Stack) -> None:
    hosted = serverless(stack, capacity=Serverless(memory_mib=4096, at_once=20))
    made = template(stack)
    assert variant(made)["ServerlessConfig"] == {"MaxConcurrency": 20, "MemorySizeInMB": 4096}
    assert not {"InstanceType", "InitialInstanceCount"} & set(variant(made))
    assert not {"KmsKeyId", "DataCaptureConfig"} & set(made.only(CONFIG))
    assert not {"VpcConfig", "EnableNetworkIsolation"} & set(made.only(MODEL))
    assert "RetainAllVariantProperties" not in made.only(ENDPOINT)
    assert made.resources(TARGET, SCALING) == {}
    assert not [a for a in made.actions(made.id("AWS::IAM::Role", "ChurnRole")) if a.startswith("ec2:")]
    watched = {alarm.get("MetricName") for alarm in made.resources(ALARM).values()}
    assert {"ServerlessConcurrentExecutionsUtilization", "MemoryUtilization"} <= watched
    assert "CPUUtilization" not in watched
    assert len(hosted.alarms) == 5
