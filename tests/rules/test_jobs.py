"""Rules on jobs, where what is absent or not applicable decides, and where several jobs meet."""

from pathlib import Path
from typing import Any

import pytest

from ml_lens.instance_types import family, has_local_disks, is_for_training, is_larger, is_previous_generation
from ml_lens.rules.engine import judge
from ml_lens.rules.finding import Finding
from ml_lens.rules.options import Options
from ml_lens.rules.templates import TemplateFile
from tests.rules.cases.instances import FIT, RETIRED
from tests.rules.cases.jobs import (
    AUTOML,
    KEY,
    LABELING,
    NETWORK,
    PROCESSING,
    TRAINING,
    TRANSFORM,
    TUNING,
    app,
    machine,
    pipeline,
    without,
)
from tests.rules.cases.lineage import APART, HOSTING, PACKAGE
from tests.rules.cases.lineage import RULE as ORIGIN
from tests.rules.fixtures import OPEN_PARAMETER, said, template, told

SECURE, MONITORED = "SEC02-TrainingJobSecure", "SEC02-ProcessingAndMonitoringJobsSecure"
SPOT, BOUNDED = "COST03-ManagedSpotWithCheckpoint", "COST03-BoundedRuntime"
TRAIN = "createTrainingJob"


def found(rule: str, resources: dict[str, Any], **options: Any) -> list[Finding]:
    return said(rule, template(resources), options)


def aspects(findings: list[Finding]) -> set[str | None]:
    return {each.finding for each in findings}


def training(**changes: Any) -> dict[str, Any]:
    return {**TRAINING, **changes}


def on(instance_type: Any, **more: Any) -> dict[str, Any]:
    """A training request whose instances have that type, and no key for their volumes."""
    return training(ResourceConfig={"InstanceType": instance_type, "InstanceCount": 2, **more})


# Security


@pytest.mark.parametrize(
    ("api", "demanded"),
    [
        ("createTrainingJob", {"vpc", "volumeKms", "outputKms", "interContainer", "isolation"}),
        ("createHyperParameterTuningJob", {"vpc", "volumeKms", "outputKms", "interContainer", "isolation"}),
        ("createProcessingJob", {"vpc", "volumeKms", "interContainer", "isolation"}),
        ("createTransformJob", {"volumeKms", "outputKms"}),
        ("createAutoMLJob", {"vpc", "volumeKms", "outputKms", "interContainer"}),
        ("createAutoMLJobV2", {"vpc", "volumeKms", "outputKms", "interContainer"}),
        ("createLabelingJob", {"outputKms"}),
    ],
)
def test_only_what_the_api_of_a_job_has_is_demanded(api: str, demanded: set[str]) -> None:
    assert aspects(found(SECURE, {"Machine": machine(api, {"RoleArn": "arn"})})) == demanded


def test_a_processing_job_needs_an_output_key_once_it_has_outputs() -> None:
    request = {**PROCESSING, "ProcessingOutputConfig": {"Outputs": [{"OutputName": "features"}]}}
    assert aspects(found(SECURE, app("createProcessingJob", request))) == {"outputKms"}


def test_a_labeling_job_without_a_model_has_no_volumes() -> None:
    request = without(LABELING, "LabelingJobAlgorithmsConfig")
    assert found(SECURE, app("createLabelingJob", request)) == []


def test_a_serverless_job_has_neither_instances_nor_volumes() -> None:
    request = training(ServerlessJobConfig={"JobType": "FineTuning", "BaseModelArn": "arn"})
    del request["ResourceConfig"], request["EnableInterContainerTrafficEncryption"]
    assert found(SECURE, app(TRAIN, request)) == []
    assert found(SPOT, app(TRAIN, without(request, "EnableManagedSpotTraining"))) == []


@pytest.mark.parametrize(
    "instance_type", ["ml.g5.xlarge", "ml.p4d.24xlarge", "ml.r5d.large", "ml.trn1.2xlarge"]
)
def test_instances_with_disks_of_their_own_need_no_volume_key(instance_type: str) -> None:
    assert found(SECURE, app(TRAIN, on(instance_type))) == []


def test_an_instance_type_that_is_open_leaves_a_missing_volume_key_open() -> None:
    ((finding, level, _),) = told(found(SECURE, app(TRAIN, on(OPEN_PARAMETER))))
    assert finding == "unresolved:DefinitionString.States.Work.Parameters.ResourceConfig.InstanceType"
    assert level == "warning"


def test_a_volume_key_is_enough_whatever_the_instances_are() -> None:
    assert found(SECURE, app(TRAIN, on(OPEN_PARAMETER, VolumeKmsKeyId=KEY))) == []


def test_one_instance_group_without_disks_needs_the_volume_key() -> None:
    def grouped(*types: str) -> dict[str, Any]:
        groups = [{"InstanceType": each, "InstanceCount": 1, "InstanceGroupName": each} for each in types]
        return training(ResourceConfig={"InstanceGroups": groups})

    assert aspects(found(SECURE, app(TRAIN, grouped("ml.g5.xlarge", "ml.m5.xlarge")))) == {"volumeKms"}
    assert found(SECURE, app(TRAIN, grouped("ml.g5.xlarge", "ml.g6.xlarge"))) == []


@pytest.mark.parametrize(
    ("resources", "level"),
    [
        ({"InstanceCount": 1}, "warning"),
        ({"InstanceCount": "1"}, "warning"),
        ({"InstanceCount": 2}, "error"),
        ({}, "error"),
        ({"InstanceGroups": [{"InstanceType": "ml.m5.large", "InstanceCount": 1}]}, "warning"),
        ({"InstanceGroups": [{"InstanceCount": 1}, {"InstanceCount": 1}]}, "error"),
    ],
)
def test_plain_traffic_is_an_error_unless_there_is_one_instance(
    resources: dict[str, Any], level: str
) -> None:
    request = training(ResourceConfig={"VolumeKmsKeyId": KEY, **resources})
    del request["EnableInterContainerTrafficEncryption"]
    assert told(found(SECURE, app(TRAIN, request))) == [("interContainer", level, "Machine")]


def test_plain_traffic_is_left_open_where_the_number_of_instances_is() -> None:
    request = training(ResourceConfig={"VolumeKmsKeyId": KEY, "InstanceCount": OPEN_PARAMETER})
    del request["EnableInterContainerTrafficEncryption"]
    path = "DefinitionString.States.Work.Parameters.ResourceConfig.InstanceCount"
    assert told(found(SECURE, app(TRAIN, request))) == [(f"unresolved:{path}", "warning", "Machine")]


def test_a_tuning_job_may_choose_its_instances_from_several() -> None:
    job = without(TUNING["TrainingJobDefinition"], "ResourceConfig")
    types = [
        {"InstanceType": "ml.m5.large", "InstanceCount": 2},
        {"InstanceType": "ml.p3.2xlarge", "InstanceCount": 2},
    ]
    job["HyperParameterTuningResourceConfig"] = {"InstanceConfigs": types}
    request = {**TUNING, "TrainingJobDefinition": job}
    tuned = app("createHyperParameterTuningJob", request)
    assert aspects(found(SECURE, tuned)) == {"volumeKms"}
    assert len(found(FIT, tuned)) == 1
    job["HyperParameterTuningResourceConfig"]["VolumeKmsKeyId"] = KEY
    assert found(SECURE, tuned) == []


def test_every_definition_of_a_tuning_job_is_judged() -> None:
    good = TUNING["TrainingJobDefinition"]
    request = without(TUNING, "TrainingJobDefinition")
    request["TrainingJobDefinitions"] = [good, without(good, "VpcConfig")]
    assert aspects(found(SECURE, app("createHyperParameterTuningJob", request))) == {"vpc"}


def test_several_jobs_of_one_machine_are_one_finding_that_names_them() -> None:
    whole = machine(TRAIN, without(TRAINING, "VpcConfig"))
    states = whole["Properties"]["DefinitionString"]["States"]
    states["Again"] = {
        **states["Work"],
        "Parameters": without(TRAINING, "VpcConfig", "EnableNetworkIsolation"),
    }
    findings = {
        each.finding: each.message for each in found(SECURE, {**app(TRAIN, TRAINING), "Machine": whole})
    }
    assert set(findings) == {"vpc", "isolation"}
    assert "Work: VpcConfig.Subnets is missing" in findings["vpc"]
    assert "Again: VpcConfig.Subnets is missing" in findings["vpc"]
    assert findings["isolation"] == "Again: EnableNetworkIsolation is missing, must be true"


def test_other_tasks_and_other_steps_are_not_judged() -> None:
    apart = {
        "Machine": machine("createModel", {"ModelName": "churn"}),
        "Pipeline": pipeline({"Name": "Run", "Type": "Lambda", "Arguments": {}}),
    }
    for rule in (SECURE, SPOT, BOUNDED, ORIGIN, FIT):
        assert found(rule, apart) == []


def unread(actions: list[str]) -> dict[str, Any]:
    policy = {"PolicyDocument": {"Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}}
    return {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"Policies": [policy]}},
        "Machine": {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {
                "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                "DefinitionS3Location": {"Bucket": "assets", "Key": "1f.json"},
            },
        },
    }


@pytest.mark.parametrize(
    ("rule", "action", "reported"),
    [
        (SECURE, "sagemaker:CreateTrainingJob", True),
        (SECURE, "sns:Publish", False),
        (RETIRED, "sagemaker:CreateEndpointConfig", True),
        (RETIRED, "sagemaker:CreateTrainingJob", False),
    ],
)
def test_an_unread_definition_is_open_where_its_role_gives_reason(
    rule: str, action: str, reported: bool
) -> None:
    expected = [("unresolved:DefinitionS3Location", "warning", "Machine")]
    assert told(found(rule, unread([action]))) == (expected if reported else [])


def test_a_schedule_that_names_a_definition_is_judged_by_the_definition() -> None:
    schedule = {"MonitoringScheduleConfig": {"MonitoringJobDefinitionName": "quality"}}
    resources = {"Schedule": {"Type": "AWS::SageMaker::MonitoringSchedule", "Properties": schedule}}
    assert found(MONITORED, resources) == []


def test_a_processing_job_on_disks_of_its_own_and_without_outputs_needs_no_keys() -> None:
    job = {
        "ProcessingResources": {"ClusterConfig": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1}},
        "NetworkConfig": PROCESSING["NetworkConfig"],
    }
    assert found(MONITORED, {"Job": {"Type": "AWS::SageMaker::ProcessingJob", "Properties": job}}) == []


# Cost


@pytest.mark.parametrize(
    "kind", ["createProcessingJob", "createTransformJob", "createAutoMLJobV2", "createLabelingJob"]
)
def test_jobs_that_cannot_use_spot_capacity_are_not_asked_to(kind: str) -> None:
    assert found(SPOT, {"Machine": machine(kind, {"RoleArn": "arn"})}) == []


@pytest.mark.parametrize(
    "resources",
    [
        {"TrainingPlanArn": "arn:aws:sagemaker:eu-west-1:111122223333:training-plan/x"},
        {"InstancePreferences": [{"InstanceType": "ml.p5.48xlarge"}]},
    ],
)
def test_planned_capacity_cannot_be_spot_capacity(resources: dict[str, Any]) -> None:
    request = without(training(ResourceConfig=resources), "EnableManagedSpotTraining")
    assert found(SPOT, app(TRAIN, request)) == []


@pytest.mark.parametrize(
    ("wait", "run", "expected"),
    [
        (3600, 3600, []),
        ("7200", "3600", []),
        (86_400, None, []),
        (86_399, None, ["error"]),
        (3599, 3600, ["error"]),
        (OPEN_PARAMETER, OPEN_PARAMETER, []),
        (OPEN_PARAMETER, 3600, ["warning"]),
        (3600, OPEN_PARAMETER, ["warning"]),
        ({"Ref": "AtLeastAnHour"}, 3600, []),
        ({"Ref": "AtLeastAnHour"}, 86_401, ["error"]),
        ({"Ref": "AtLeastAnHour"}, 7200, ["warning"]),
    ],
)
def test_a_spot_job_may_wait_as_long_as_it_may_run(wait: Any, run: Any, expected: list[str]) -> None:
    stopping = {"MaxWaitTimeInSeconds": wait, **({} if run is None else {"MaxRuntimeInSeconds": run})}
    whole = app(TRAIN, training(StoppingCondition=stopping))
    limits = {"Type": "Number", "MinValue": 3600, "MaxValue": 86_400}
    written = template(whole)
    written["Parameters"]["AtLeastAnHour"] = limits
    assert [str(each.level) for each in said(SPOT, written, {})] == expected


def test_what_a_spot_job_needs_is_not_asked_of_one_that_may_be_none() -> None:
    request = without(training(EnableManagedSpotTraining="{% $spot %}"), "CheckpointConfig")
    assert [each.finding for each in found(SPOT, app(TRAIN, request))] == [
        "unresolved:DefinitionString.States.Work.Parameters.EnableManagedSpotTraining"
    ]


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"Strategy": "Hyperband", "ResourceLimits": {"MaxNumberOfTrainingJobs": 9}}, 0),
        ({"Strategy": "Random", "ResourceLimits": {"MaxNumberOfTrainingJobs": 9}}, 1),
        ({"TrainingJobEarlyStoppingType": "Auto", "ResourceLimits": {"MaxNumberOfTrainingJobs": 9}}, 0),
        ({"TrainingJobEarlyStoppingType": "Auto", "ResourceLimits": {"MaxRuntimeInSeconds": 3600}}, 1),
        ({"TrainingJobEarlyStoppingType": "Auto"}, 1),
    ],
)
def test_a_tuning_job_is_bounded_by_the_number_of_its_jobs_and_stops_early(
    settings: dict[str, Any], count: int
) -> None:
    request = {**TUNING, "HyperParameterTuningJobConfig": settings}
    assert len(found(BOUNDED, app("createHyperParameterTuningJob", request))) == count


@pytest.mark.parametrize("kind", ["createTransformJob", "createLabelingJob"])
def test_jobs_without_a_limit_of_time_in_their_api_are_not_judged(kind: str) -> None:
    assert found(BOUNDED, {"Machine": machine(kind, {"RoleArn": "arn"})}) == []


# Instances


@pytest.mark.parametrize(
    ("instance_type", "name", "disks"),
    [
        ("ml.m5.xlarge", "m5", False),
        ("ml.m5d.xlarge", "m5d", True),
        ("ml.c7i-flex.large", "c7i-flex", False),
        ("ml.g4dn.xlarge", "g4dn", True),
        ("ml.g5.xlarge", "g5", True),
        ("ml.p3.2xlarge", "p3", False),
        ("ml.p3dn.24xlarge", "p3dn", True),
        ("ml.p4de.24xlarge", "p4de", True),
        ("ml.p6-b200.48xlarge", "p6-b200", True),
        ("ml.p6e-gb200.36xlarge", "p6e-gb200", True),
        ("ml.r7gd.large", "r7gd", True),
        ("ml.inf2.xlarge", "inf2", False),
        ("ml.dl1.24xlarge", "dl1", True),
        ("ml.trn2.48xlarge", "trn2", True),
        ("m5d.xlarge", "", False),
        ("", "", False),
        ("ml.standard", "", False),
    ],
)
def test_a_family_tells_whether_it_has_disks(instance_type: str, name: str, disks: bool) -> None:
    assert family(instance_type) == name
    assert has_local_disks(instance_type) is disks


def test_a_family_tells_its_age_and_its_purpose() -> None:
    assert [
        each
        for each in ("m4", "c4", "t2", "p2", "p3", "m5", "t3", "g4dn")
        if is_previous_generation(f"ml.{each}.large")
    ] == [
        "m4",
        "c4",
        "t2",
        "p2",
        "p3",
    ]
    assert is_for_training("ml.p5.48xlarge")
    assert is_for_training("ml.trn1n.32xlarge")
    assert not is_for_training("ml.g5.48xlarge")


@pytest.mark.parametrize(
    ("size", "limit", "larger"),
    [
        ("large", "xlarge", False),
        ("xlarge", "xlarge", False),
        ("2xlarge", "xlarge", True),
        ("10xlarge", "9xlarge", True),
        ("4xlarge", "12xlarge", False),
        ("medium", "small", True),
        ("metal", "48xlarge", True),
    ],
)
def test_sizes_have_an_order(size: str, limit: str, larger: bool) -> None:
    assert is_larger(f"ml.m5.{size}", limit) is larger


def test_serverless_and_shadow_variants_and_pools() -> None:
    def config(**variants: Any) -> dict[str, Any]:
        return {"Config": {"Type": "AWS::SageMaker::EndpointConfig", "Properties": variants}}

    assert found(FIT, config(ProductionVariants=[{"ServerlessConfig": {"MaxConcurrency": 5}}])) == []
    assert len(found(FIT, config(ShadowProductionVariants=[{"InstanceType": "ml.p4d.24xlarge"}]))) == 1
    pools = [{"InstanceType": "ml.g5.xlarge"}, {"InstanceType": "ml.trn1.2xlarge"}]
    assert len(found(FIT, config(ProductionVariants=[{"InstancePools": pools}]))) == 1


def test_a_transform_job_may_use_the_instances_of_training() -> None:
    resources = {**TRANSFORM["TransformResources"], "InstanceType": "ml.trn1.2xlarge"}
    assert found(FIT, app("createTransformJob", {**TRANSFORM, "TransformResources": resources})) == []


def test_no_accelerator_at_all_is_fine() -> None:
    notebook = {"Type": "AWS::SageMaker::NotebookInstance", "Properties": {"AcceleratorTypes": []}}
    assert found(RETIRED, {"Notebook": notebook}) == []


# Origin


@pytest.mark.parametrize(
    ("keys", "complete"),
    [
        (("data-version", "code-version"), True),
        (("mllens:dataset-hash", "GitCommit"), True),
        (("DatasetVersion", "gitSha"), True),
        (("data_snapshot", "SOURCE_REVISION"), True),
        (("data-classification", "code-version"), False),
        (("data-version", "cost-code"), False),
        (("data-version", "version"), False),
        (("update-version", "code-version"), False),
    ],
)
def test_tags_tell_the_version_of_data_and_of_code(keys: tuple[str, ...], complete: bool) -> None:
    tags = [{"Key": key, "Value": "1"} for key in keys]
    assert (found(ORIGIN, app(TRAIN, training(Tags=tags))) == []) is complete
    package = {
        **without(PACKAGE, "MetadataProperties"),
        "CustomerMetadataProperties": dict.fromkeys(keys, "1"),
    }
    resources = {"Package": {"Type": "AWS::SageMaker::ModelPackage", "Properties": package}}
    assert (found(ORIGIN, resources) == []) is complete


def test_a_tag_without_a_value_tells_nothing() -> None:
    tags = [{"Key": "data-version", "Value": ""}, {"Key": "code-version", "Value": OPEN_PARAMETER}]
    (finding,) = found(ORIGIN, app(TRAIN, training(Tags=tags)))
    assert finding.message == "Work: Tags has no data version, such as data-version"


def test_the_job_that_made_a_package_knows_its_data() -> None:
    package = {
        **PACKAGE,
        "MetadataProperties": {"CommitId": "4f1c2d9", "GeneratedBy": "arn:aws:sagemaker:job"},
    }
    resources = {
        "Package": {
            "Type": "AWS::SageMaker::ModelPackage",
            "Properties": without(package, "CustomerMetadataProperties"),
        }
    }
    assert found(ORIGIN, resources) == []


@pytest.mark.parametrize(
    ("kind", "request_is"),
    [("createProcessingJob", PROCESSING), ("createTransformJob", TRANSFORM), ("createLabelingJob", LABELING)],
)
def test_jobs_that_make_no_model_need_no_versions(kind: str, request_is: dict[str, Any]) -> None:
    assert found(ORIGIN, app(kind, request_is)) == []


# Roles


def hosting(own: Any, *requests: Any) -> dict[str, Any]:
    machines = {f"Machine{at}": machine(TRAIN, {"RoleArn": each}) for at, each in enumerate(requests)}
    model = {"Type": "AWS::SageMaker::Model", "Properties": {"ExecutionRoleArn": own} if own else {}}
    return {"Model": model, "Hosting": HOSTING, "Role": {"Type": "AWS::IAM::Role"}, **machines}


OWN, OTHER = {"Fn::GetAtt": ["Hosting", "Arn"]}, {"Fn::GetAtt": ["Role", "Arn"]}
ARN = "arn:aws:iam::111122223333:role/"


@pytest.mark.parametrize(
    ("own", "jobs", "expected"),
    [
        (OWN, [OTHER], None),
        (OWN, [], None),
        (None, [OTHER], None),
        (OWN, [OTHER, OWN], "fails"),
        (OWN, [f"{ARN}hosting"], "fails"),
        (OWN, [f"{ARN}service-role/train"], None),
        (OWN, ["{% $role %}"], "open"),
        (OWN, ["{% $role %}", OWN], "fails"),
        (f"{ARN}a", [f"{ARN}a"], "fails"),
        (f"{ARN}a", [f"{ARN}b"], None),
        (OPEN_PARAMETER, [OPEN_PARAMETER], "fails"),
        (OPEN_PARAMETER, [f"{ARN}a"], "open"),
        ({"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/a"}, [f"{ARN}a"], "open"),
        ({"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/a"}, [f"{ARN}b"], None),
        (OWN, [{"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:role/train"}], None),
    ],
)
def test_a_model_shares_its_role_with_no_job(own: Any, jobs: list[Any], expected: str | None) -> None:
    findings = told(found(APART, hosting(own, *jobs)))
    finding = None if expected == "fails" else "unresolved:ExecutionRoleArn"
    assert findings == ([(finding, "warning", "Model")] if expected else [])


def test_the_role_of_every_definition_of_a_tuning_job_is_compared() -> None:
    definitions = [{"RoleArn": OTHER}, {"RoleArn": OWN}]
    tuning = machine("createHyperParameterTuningJob", {"TrainingJobDefinitions": definitions})
    findings = found(APART, {**hosting(OWN), "Machine": tuning})
    assert told(findings) == [(None, "warning", "Model")]


def test_a_role_of_another_template_is_compared() -> None:
    role = {"Resources": {"Shared": {"Type": "AWS::IAM::Role"}}}
    role["Outputs"] = {"Arn": {"Value": {"Fn::GetAtt": ["Shared", "Arn"]}, "Export": {"Name": "shared"}}}
    imported = {"Fn::ImportValue": "shared"}
    bodies = {
        "Roles": role,
        "Train": template({"Machine": machine(TRAIN, {"RoleArn": imported})}),
        "Host": template(
            {"Model": {"Type": "AWS::SageMaker::Model", "Properties": {"ExecutionRoleArn": imported}}}
        ),
    }
    read = [
        TemplateFile(Path(f"{name}.json"), f"{name}.json", body, name, {}) for name, body in bodies.items()
    ]
    findings = [each for each in judge(read, Options.of()) if each.rule.endswith(APART)]
    assert [(each.template, each.resource) for each in findings] == [("Host.json", "Model")]


def test_an_automl_network_of_either_version_is_read() -> None:
    assert (
        found(
            SECURE,
            app(
                "createAutoMLJobV2",
                {**AUTOML, "SecurityConfig": {**AUTOML["SecurityConfig"], "VpcConfig": NETWORK}},
            ),
        )
        == []
    )
