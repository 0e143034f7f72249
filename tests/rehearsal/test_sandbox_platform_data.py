"""Tables and topics in the sandbox: transactions, and the keys behind a topic."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from ml_lens.rehearsal.sandbox import Sandbox
from tests.rehearsal.made_to_measure import Roles, key, refused

pytestmark = pytest.mark.xdist_group("sandbox")


def test_a_transaction_counts_each_thing_once(sandbox: Sandbox, role: Roles) -> None:
    table = sandbox.client("dynamodb")
    arn = table.create_table(
        TableName="counted",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )["TableDescription"]["TableArn"]
    table.update_time_to_live(
        TableName="counted", TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"}
    )

    def items(id: str) -> list[dict[str, Any]]:
        seen = {"pk": {"S": f"inference#{id}"}, "sk": {"S": "-"}, "expires": {"N": "4102444800"}}
        return [
            {
                "Put": {
                    "TableName": "counted",
                    "Item": seen,
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            },
            {
                "Update": {
                    "TableName": "counted",
                    "Key": {"pk": {"S": "summary"}, "sk": {"S": "0"}},
                    "UpdateExpression": "ADD n :one, #total :v",
                    "ExpressionAttributeNames": {"#total": "total"},
                    "ExpressionAttributeValues": {":one": {"N": "1"}, ":v": {"N": "0.5"}},
                }
            },
        ]

    half = role({"Action": "dynamodb:PutItem", "Resource": arn}).client("dynamodb")
    assert "dynamodb:UpdateItem" in refused(half.transact_write_items, TransactItems=items("1"))[1]
    whole = role({"Action": ["dynamodb:PutItem", "dynamodb:UpdateItem"], "Resource": arn}).client("dynamodb")
    whole.transact_write_items(TransactItems=items("1"))
    whole.transact_write_items(TransactItems=items("2"))
    with pytest.raises(ClientError) as caught:
        whole.transact_write_items(TransactItems=items("1"))
    assert [each["Code"] for each in caught.value.response["CancellationReasons"]] == [
        "ConditionalCheckFailed",
        "None",
    ]
    found = table.get_item(TableName="counted", Key={"pk": {"S": "summary"}, "sk": {"S": "0"}})["Item"]
    assert (found["n"], found["total"]) == ({"N": "2"}, {"N": "1.0"})


def test_whoever_publishes_needs_the_key_of_the_topic(sandbox: Sandbox, role: Roles) -> None:
    key_arn = key(sandbox)
    arn = sandbox.client("sns").create_topic(Name="kept", Attributes={"KmsMasterKeyId": key_arn})["TopicArn"]
    publish = {"Action": "sns:Publish", "Resource": arn}
    use = {"Action": ["kms:GenerateDataKey*", "kms:Decrypt"], "Resource": key_arn}
    message = {"TopicArn": arn, "Message": "hello"}
    code, said = refused(role(publish).client("sns").publish, **message)
    assert code == "KMSAccessDenied"
    assert "kms:GenerateDataKey" in said
    assert role(publish, use).client("sns").publish(**message)["MessageId"]
