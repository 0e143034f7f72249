"""Log groups, where one template and one change do not say it."""

from typing import Any

from tests.rules.cases.data_logs import KEY, function, log_group, machine, role
from tests.rules.fixtures import OPEN_PARAMETER, template
from tests.rules.judging import Told, found, found_in


def test_a_function_that_calls_no_machine_learning_is_left_alone() -> None:
    assert (
        found("SEC02-MlLogGroupEncrypted", {"Writer": role("s3:PutObject"), "Writes": function("Writer")})
        == []
    )


def test_one_log_group_serves_every_workflow_of_the_app_and_its_absence_is_told_once() -> None:
    app = {"One": machine(Train="createTrainingJob"), "Two": machine(Train="createTrainingJob")}
    assert found("SEC02-MlLogGroupEncrypted", app) == [(None, "error", "One")]
    logs = template({"Key": KEY, "Logs": log_group("/aws/sagemaker/TrainingJobs")})
    assert found_in("SEC02-MlLogGroupEncrypted", template(app), logs) == []


def test_the_group_that_a_training_workflow_logs_to_is_judged_under_any_name() -> None:
    def logged(workflow: dict[str, Any]) -> Told:
        arn = {"Fn::GetAtt": ["Logs", "Arn"]}
        workflow["Properties"]["LoggingConfiguration"] = {
            "Destinations": [{"CloudWatchLogsLogGroup": {"LogGroupArn": arn}}]
        }
        jobs = log_group("/aws/sagemaker/TrainingJobs")
        app = {"Key": KEY, "Jobs": jobs, "Flow": workflow, "Logs": {"Type": "AWS::Logs::LogGroup"}}
        return found("SEC02-MlLogGroupEncrypted", app)

    assert logged(machine(Train="createTrainingJob")) == [(None, "error", "Logs")]
    assert logged(machine(Register="createModel")) == []


def test_a_workflow_that_cannot_be_read_is_unresolved_where_it_may_train() -> None:
    def read(*actions: str, **more: Any) -> Told:
        location = {"Bucket": "elsewhere", "Key": "flow.json"}
        flow = {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {"DefinitionS3Location": location, "RoleArn": {"Fn::GetAtt": ["Runs", "Arn"]}},
        }
        return found("SEC02-MlLogGroupEncrypted", {"Key": KEY, "Runs": role(*actions), "Flow": flow, **more})

    assert read("sagemaker:CreateTrainingJob") == [("unresolved:DefinitionS3Location", "warning", "Flow")]
    assert read("lambda:InvokeFunction") == []
    assert read("sagemaker:CreateTrainingJob", Logs=log_group("/aws/sagemaker/TrainingJobs")) == []


def test_a_log_group_with_an_open_name_is_no_question_in_an_app_without_machine_learning() -> None:
    logs = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": OPEN_PARAMETER}}
    assert found("SEC02-MlLogGroupEncrypted", {"Logs": logs}) == []
    endpoint = {"Type": "AWS::SageMaker::Endpoint", "Properties": {}}
    open_name = ("unresolved:LogGroupName", "warning", "Logs")
    assert open_name in found("SEC02-MlLogGroupEncrypted", {"Logs": logs, "Endpoint": endpoint})
