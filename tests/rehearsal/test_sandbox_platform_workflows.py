"""State machines in the sandbox: whose rights their tasks have, JSONata, time limits, and who hears how they end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from ml_lens.rehearsal.sandbox import ACCOUNT, REGION, Sandbox
from tests.rehearsal.made_to_measure import LOGS, Roles, eventually, function, key, messages, queue

pytestmark = pytest.mark.xdist_group("sandbox")

Machine = Callable[..., "Execution"]


class Execution:
    """A started execution of a machine with exactly the rights that a test gives it."""

    def __init__(self, sandbox: Sandbox, arn: str) -> None:
        self._states = sandbox.client("stepfunctions")
        self.arn = arn

    @property
    def machine(self) -> str:
        return str(self._states.describe_execution(executionArn=self.arn)["stateMachineArn"])

    def ended(self) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = self._states.describe_execution(executionArn=self.arn)
            return None if found["status"] == "RUNNING" else found

        return dict(eventually(look, 30))

    def output(self) -> Any:
        found = self.ended()
        assert found["status"] == "SUCCEEDED", (found.get("error"), found.get("cause"))
        return json.loads(found["output"])

    def failure(self) -> tuple[str, str]:
        found = self.ended()
        assert found["status"] == "FAILED", found
        return found["error"], found["cause"]

    def stop(self) -> None:
        self._states.stop_execution(executionArn=self.arn, cause="enough")


@pytest.fixture
def run(sandbox: Sandbox) -> Machine:
    """Start a machine of the given states whose role may do the given statements."""
    iam, states = sandbox.client("iam"), sandbox.client("stepfunctions")

    def start(
        machine: dict[str, Any] | None = None,
        *may: dict[str, Any],
        given: Any = None,
        **task: Any,
    ) -> Execution:
        number = time.monotonic_ns()
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "states.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        role = iam.create_role(
            RoleName=f"machine-{number}", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]})
        )["Role"]
        if may:
            allowed = {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", **each} for each in may],
            }
            iam.put_role_policy(
                RoleName=role["RoleName"], PolicyName="all", PolicyDocument=json.dumps(allowed)
            )
        definition = machine or {
            "StartAt": "Only",
            "States": {"Only": {"Type": "Task", "End": True, **task}},
        }
        made = states.create_state_machine(
            name=f"machine-{number}",
            definition=json.dumps({"QueryLanguage": "JSONata", **definition}),
            roleArn=role["Arn"],
        )
        begun = states.start_execution(stateMachineArn=made["stateMachineArn"], input=json.dumps(given or {}))
        return Execution(sandbox, begun["executionArn"])

    return start


def flow(**states: dict[str, Any]) -> dict[str, Any]:
    return {"StartAt": next(iter(states)), "States": states}


def sdk(call: str) -> str:
    return f"arn:aws:states:::aws-sdk:{call}"


ANYTHING = {"Action": "*", "Resource": "*"}


class TestRights:
    def test_a_task_needs_the_right_to_invoke_its_function(
        self, sandbox: Sandbox, role: Roles, run: Machine
    ) -> None:
        function(sandbox, "echo", "def handler(event, _): return {'got': event}", role(LOGS))
        task = {
            "Resource": "arn:aws:states:::lambda:invoke",
            "Arguments": {"FunctionName": "echo", "Payload": {"a": 1}},
        }
        error, cause = run(**task).failure()
        assert error == "Lambda.AWSLambdaException"
        assert "not authorized to perform: lambda:InvokeFunction" in cause
        may = {
            "Action": "lambda:InvokeFunction",
            "Resource": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:echo",
        }
        assert run(None, may, **task).output()["Payload"] == {"got": {"a": 1}}

    def test_a_call_of_the_sdk_needs_its_right_and_speaks_as_step_functions_does(self, run: Machine) -> None:
        task = {"Resource": sdk("sqs:createQueue"), "Arguments": {"QueueName": "made-by-states"}}
        error, cause = run(**task).failure()
        assert error == "Sqs.SqsException"
        assert "sqs:CreateQueue" in cause
        assert run(None, ANYTHING, **task).output()["QueueUrl"].endswith("/made-by-states")

    def test_members_and_errors_have_the_names_of_the_java_sdk(self, sandbox: Sandbox, run: Machine) -> None:
        sandbox.client("dynamodb").create_table(
            TableName="named",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key(sandbox)},
        )
        described = run(
            None, ANYTHING, Resource=sdk("dynamodb:describeTable"), Arguments={"TableName": "named"}
        ).output()
        assert described["Table"]["SseDescription"]["KmsMasterKeyArn"]
        put = {
            "TableName": "named",
            "Item": {"id": {"S": "1"}, "yes": {"Bool": True}},
            "ConditionExpression": "attribute_not_exists(id)",
        }
        assert run(None, ANYTHING, Resource=sdk("dynamodb:putItem"), Arguments=put).output() == {}
        error, _ = run(None, ANYTHING, Resource=sdk("dynamodb:putItem"), Arguments=put).failure()
        assert error == "DynamoDb.ConditionalCheckFailedException"
        error, cause = run(
            None, ANYTHING, Resource=sdk("dynamodb:putItem"), Arguments={"tableName": "named"}
        ).failure()
        assert (error, "not supported by Step Functions" in cause) == ("States.Runtime", True)
        plain = {**put, "Item": {"id": {"S": "1"}, "yes": {"BOOL": True}}}
        error, _ = run(
            None, ANYTHING, Resource="arn:aws:states:::dynamodb:putItem", Arguments=plain
        ).failure()
        assert error == "DynamoDB.ConditionalCheckFailedException"

    def test_a_role_that_no_longer_trusts_step_functions_is_of_no_use(
        self, sandbox: Sandbox, run: Machine
    ) -> None:
        begun = run(None, ANYTHING, Resource=sdk("sqs:listQueues"), Arguments={})
        begun.output()
        states = sandbox.client("stepfunctions")
        role = states.describe_state_machine(stateMachineArn=begun.machine)["roleArn"].rpartition("/")[2]
        other = {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        sandbox.client("iam").update_assume_role_policy(
            RoleName=role, PolicyDocument=json.dumps({"Statement": [other]})
        )
        again = states.start_execution(stateMachineArn=begun.machine)["executionArn"]
        error, cause = Execution(sandbox, again).failure()
        assert error == "States.TaskFailed"
        assert "not authorized to assume the role" in cause

    def test_messages_of_a_task_are_sent_with_its_rights_and_as_text(
        self, sandbox: Sandbox, run: Machine
    ) -> None:
        url, arn = queue(sandbox, "told")
        task = {
            "Resource": "arn:aws:states:::sqs:sendMessage",
            "Arguments": {"QueueUrl": url, "MessageBody": {"a": 1}},
        }
        assert run(**task).failure()[0] == "SQS.AmazonSQSException"
        assert run(None, {"Action": "sqs:SendMessage", "Resource": arn}, **task).output()["MessageId"]
        (message,) = messages(sandbox, url)
        assert json.loads(message["Body"]) == {"a": 1}


class TestJsonata:
    def test_parallel_takes_arguments_and_gives_output(self, run: Machine) -> None:
        def branch(expression: str) -> dict[str, Any]:
            return flow(
                B={"Type": "Pass", "Assign": {"mine": 1}, "Output": "{% " + expression + " %}", "End": True}
            )

        output = run(
            flow(
                Both={
                    "Type": "Parallel",
                    "Arguments": {"x": "{% $states.input.n %}"},
                    "Branches": [branch("$states.input.x + 1"), branch("$states.input.x + 2")],
                    "Assign": {"sums": "{% $states.result %}"},
                    "Output": {"total": "{% $sum($states.result) %}"},
                    "Next": "Done",
                },
                Done={
                    "Type": "Succeed",
                    "Output": {"total": "{% $states.input.total %}", "sums": "{% $sums %}"},
                },
            ),
            given={"n": 1},
        ).output()
        assert output == {"total": 5, "sums": [2, 3]}

    def test_an_error_of_a_branch_is_caught_with_its_name(self, run: Machine) -> None:
        output = run(
            flow(
                Both={
                    "Type": "Parallel",
                    "Branches": [flow(F={"Type": "Fail", "Error": "Bad", "Cause": "no"})],
                    "Catch": [
                        {
                            "ErrorEquals": ["Bad"],
                            "Output": {"why": "{% $states.errorOutput.Error %}"},
                            "Assign": {"seen": True},
                            "Next": "Done",
                        }
                    ],
                    "End": True,
                },
                Done={
                    "Type": "Pass",
                    "Output": {"why": "{% $states.input.why %}", "seen": "{% $seen %}"},
                    "End": True,
                },
            )
        ).output()
        assert output == {"why": "Bad", "seen": True}

    def test_a_choice_without_a_match_has_an_output_too(self, run: Machine) -> None:
        output = run(
            flow(
                Which={
                    "Type": "Choice",
                    "Choices": [{"Condition": "{% $states.input.n > 5 %}", "Next": "Big"}],
                    "Default": "Small",
                    "Output": {"size": "small"},
                },
                Big={"Type": "Succeed"},
                Small={"Type": "Succeed"},
            ),
            given={"n": 1},
        ).output()
        assert output == {"size": "small"}

    @pytest.mark.parametrize("mode", ["INLINE", "DISTRIBUTED"])
    def test_a_map_selects_and_counts(self, run: Machine, mode: str) -> None:
        config = {"Mode": mode, **({"ExecutionType": "STANDARD"} if mode == "DISTRIBUTED" else {})}
        output = run(
            flow(
                Each={
                    "Type": "Map",
                    "Items": "{% [1..$states.input.n] %}",
                    "MaxConcurrency": "{% $states.input.n %}",
                    "ItemSelector": {"v": "{% $states.context.Map.Item.Value %}"},
                    "ItemProcessor": {
                        "ProcessorConfig": config,
                        **flow(Sq={"Type": "Pass", "Output": "{% $states.input.v * 2 %}", "End": True}),
                    },
                    "Output": {"all": "{% $states.result %}"},
                    "End": True,
                }
            ),
            given={"n": 4},
        ).output()
        assert output == {"all": [2, 4, 6, 8]}

    def test_nothing_catches_a_terminal_error_by_all(self, run: Machine) -> None:
        error, _ = run(
            flow(
                Only={
                    "Type": "Task",
                    "Resource": sdk("sqs:listQueues"),
                    "Arguments": {"Nonsense": 1},
                    "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Done"}],
                    "End": True,
                },
                Done={"Type": "Succeed"},
            ),
            ANYTHING,
        ).failure()
        assert error == "States.Runtime"


class TestTime:
    def test_waits_are_short_and_tasks_have_the_time_they_are_given(
        self, sandbox: Sandbox, role: Roles, run: Machine
    ) -> None:
        began = time.monotonic()
        run(flow(W={"Type": "Wait", "Seconds": "{% 60 * 5 %}", "End": True})).output()
        assert 1 <= time.monotonic() - began < 6
        slow = "import time\ndef handler(event, _): time.sleep(event['s'])"
        function(sandbox, "slow", slow, role(LOGS), Timeout=10)
        task = {
            "Resource": "arn:aws:states:::lambda:invoke",
            "Arguments": {"FunctionName": "slow", "Payload": {"s": 0.8}},
        }
        run(None, ANYTHING, **task, TimeoutSeconds="{% 10 %}").output()
        assert run(None, ANYTHING, **task, TimeoutSeconds=0.2).failure()[0] == "States.Timeout"

    def test_an_execution_ends_when_its_own_time_is_up_and_starts_nothing_more(
        self, sandbox: Sandbox, run: Machine
    ) -> None:
        url, _ = queue(sandbox, "too-late")
        send = {
            "Type": "Task",
            "Resource": "arn:aws:states:::sqs:sendMessage",
            "Arguments": {"QueueUrl": url, "MessageBody": "late"},
            "End": True,
        }
        inner = flow(Wait={"Type": "Wait", "Seconds": 900, "Next": "Send"}, Send=send)
        begun = run(
            {"TimeoutSeconds": 600, **flow(P={"Type": "Parallel", "Branches": [inner], "End": True})},
            ANYTHING,
        )
        assert begun.ended()["status"] == "TIMED_OUT"
        time.sleep(3.5)
        assert messages(sandbox, url) == []
        assert begun.ended()["status"] == "TIMED_OUT"

    def test_an_aborted_execution_stays_aborted(self, sandbox: Sandbox, run: Machine) -> None:
        url, _ = queue(sandbox, "aborted")
        begun = run(
            flow(
                Wait={"Type": "Wait", "Seconds": 300, "Next": "Send"},
                Send={
                    "Type": "Task",
                    "Resource": "arn:aws:states:::sqs:sendMessage",
                    "Arguments": {"QueueUrl": url, "MessageBody": "late"},
                    "End": True,
                },
            ),
            ANYTHING,
        )
        begun.stop()
        time.sleep(1.5)
        assert begun.ended()["status"] == "ABORTED"
        assert messages(sandbox, url) == []

    def test_a_token_that_nobody_brings_back_is_given_up_without_a_heartbeat(
        self, sandbox: Sandbox, run: Machine
    ) -> None:
        url, _ = queue(sandbox, "tokens")
        task = {
            "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Arguments": {"QueueUrl": url, "MessageBody": {"token": "{% $states.context.Task.Token %}"}},
        }
        assert run(None, ANYTHING, **task, HeartbeatSeconds=1).failure()[0] == "States.HeartbeatTimeout"
        sandbox.client("sqs").purge_queue(QueueUrl=url)
        begun = run(None, ANYTHING, **task, HeartbeatSeconds=10)
        (message,) = eventually(lambda: messages(sandbox, url))
        token = json.loads(message["Body"])["token"]
        sandbox.client("stepfunctions").send_task_success(taskToken=token, output='{"done": true}')
        assert begun.output() == {"done": True}
