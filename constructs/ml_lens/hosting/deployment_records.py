"""What was released to an endpoint, when, over what, and what became of it."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from ml_lens.foundation.acknowledgements import acknowledge
from ml_lens.foundation.posture import Posture
from ml_lens.foundation.storage import grant
from ml_lens.hosting.workflows import ANY_ERROR, backing_off, call

TAKEN = "DynamoDB.ConditionalCheckFailedException"
"""The error of a write whose condition does not hold."""
_RUN = {"S": "{% $states.context.Execution.Id %}"}
_AGAIN = (backing_off(ANY_ERROR),)
_UNLESS_TAKEN = ({"ErrorEquals": [TAKEN], "MaxAttempts": 0}, backing_off(ANY_ERROR))


class DeploymentRecords(Construct):
    """Keeps one item for every run of a rollout, and one more, the lock, while a run is under way.

    The lock names the run that has it, and the item of that run says what to return to: enough for another run to
    bring the endpoint back when the first one is stopped.

    Lens: CHG-01, CHG-02, CHG-08, CHG-12.
    """

    def __init__(self, scope: Construct, id: str, *, posture: Posture, key: kms.IKey, endpoint: str) -> None:
        """Create the table.

        Args:
            scope: Where it belongs.
            id: Its construct id.
            posture: Decides whether the table outlives its stack.
            key: Encrypts it.
            endpoint: Name of the endpoint.
        """
        super().__init__(scope, id)
        self.key = key
        self._endpoint = endpoint
        self.table = dynamodb.Table(
            self,
            "Resource",
            partition_key=dynamodb.Attribute(name="endpoint", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="record", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=key,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=not posture.removes_data(self),
            removal_policy=posture.removal_policy(self),
        )
        resource = self.table.node.default_child
        assert isinstance(resource, dynamodb.CfnTable)  # noqa: S101  (for the type checker)
        resource.add_metadata("MLLens", {"Role": "manifest"})
        if posture.removes_data(self):
            acknowledge(
                self.table,
                "MLLens::MLLens-REL05-ManifestStoreDurable",
                "A protected table cannot be deleted by CloudFormation, and a sandbox goes with all it holds; in "
                "production the records are protected and stay.",
            )

    def grant_keep(self, grantee: iam.IGrantable) -> None:
        """Let ``grantee`` keep records and hold the lock."""
        actions = ["DeleteItem", "GetItem", "PutItem", "UpdateItem"]
        grant(grantee, [f"dynamodb:{action}" for action in actions], self.table.table_arn)
        grant(grantee, ["kms:Decrypt"], self.key.key_arn)

    def lock(self, states: Construct, id: str) -> sfn.CustomState:
        """Return a task that takes the lock for this run, and fails with ``TAKEN`` when another has it."""
        return self._call(
            states,
            id,
            "putItem",
            {
                "Item": {**self._key("lock"), "execution": _RUN, "run": {"S": "{% $started & ' ' & $id %}"}},
                # A try whose answer was lost has taken it all the same.
                "ConditionExpression": "attribute_not_exists(endpoint) OR execution = :run",
                "ExpressionAttributeValues": {":run": _RUN},
            },
            retry=_UNLESS_TAKEN,
        )

    def read_lock(self, states: Construct, id: str, **fields: Any) -> sfn.CustomState:
        """Return a task that reads the lock."""
        return self._call(states, id, "getItem", {"Key": self._key("lock"), "ConsistentRead": True}, **fields)

    def take_over(self, states: Construct, id: str, stopped: str, **fields: Any) -> sfn.CustomState:
        """Return a task that takes the lock from the run ``stopped``; it fails with ``TAKEN`` when that has it not."""
        return self._call(
            states,
            id,
            "updateItem",
            {
                "Key": self._key("lock"),
                "UpdateExpression": "SET execution = :run",
                "ConditionExpression": "execution = :stopped OR execution = :run",
                "ExpressionAttributeValues": {":run": _RUN, ":stopped": {"S": f"{{% {stopped} %}}"}},
                "ReturnValues": "ALL_NEW",
            },
            retry=_UNLESS_TAKEN,
            **fields,
        )

    def unlock(self, states: Construct, id: str) -> sfn.CustomState:
        """Return a task that gives the lock back, if this run has it."""
        return self._call(
            states,
            id,
            "deleteItem",
            {
                "Key": self._key("lock"),
                "ConditionExpression": "execution = :run",
                "ExpressionAttributeValues": {":run": _RUN},
            },
            retry=_UNLESS_TAKEN,
        )

    def begin(self, states: Construct, id: str, told: Mapping[str, str]) -> sfn.CustomState:
        """Return a task that writes the item of this run, with what is ``told``: texts by the name of the attribute."""
        item = {name: {"S": text} for name, text in told.items()}
        return self._call(
            states,
            id,
            "putItem",
            {"Item": {**self._key("{% $started & ' ' & $id %}"), "execution": _RUN, **item}},
        )

    def read(self, states: Construct, id: str, run: str, **fields: Any) -> sfn.CustomState:
        """Return a task that reads the item of a run."""
        return self._call(
            states, id, "getItem", {"Key": self._key(f"{{% {run} %}}"), "ConsistentRead": True}, **fields
        )

    def note(self, states: Construct, id: str, told: Mapping[str, str]) -> sfn.CustomState:
        """Return a task that adds to the item of this run."""
        return self._call(
            states,
            id,
            "updateItem",
            {
                "Key": self._key("{% $started & ' ' & $id %}"),
                "UpdateExpression": "SET " + ", ".join(f"{name} = :{name}" for name in told),
                "ExpressionAttributeValues": {f":{name}": {"S": text} for name, text in told.items()},
            },
        )

    def _call(
        self,
        states: Construct,
        id: str,
        operation: str,
        arguments: Mapping[str, Any],
        *,
        retry: Any = _AGAIN,
        **fields: Any,
    ) -> sfn.CustomState:
        request = {"TableName": self.table.table_name, **arguments}
        return call(states, id, f"dynamodb:{operation}", request, retry=retry, **fields)

    def _key(self, record: str) -> dict[str, Any]:
        return {"endpoint": {"S": self._endpoint}, "record": {"S": record}}
