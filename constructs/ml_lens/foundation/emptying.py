"""Buckets that go with their stack, contents included."""

from aws_cdk import CustomResource, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from ml_lens.assets import function_code
from ml_lens.foundation.functions import PythonFunction
from ml_lens.foundation.keys import customer_key, let_log_groups_use
from ml_lens.foundation.posture import Posture

_ID = "BucketEmptier"


class BucketEmptier(Construct):
    """Empties buckets when their stack is deleted, since CloudFormation deletes only empty ones.

    There is one in a stack; :meth:`in_stack_of` finds it. Unlike the function behind ``auto_delete_objects``
    of the CDK it leaves no log group behind and has no AWS-managed policy.
    """

    def __init__(self, scope: Construct, id: str, *, posture: Posture) -> None:
        """Create the function; it may touch no bucket yet."""
        super().__init__(scope, id)
        key = customer_key(self, "Key", posture=posture, purpose="log of the function that empties buckets")
        let_log_groups_use(key)
        self.function = PythonFunction(
            self,
            "Empty",
            posture=posture,
            code=function_code("empty_bucket"),
            log_key=key,
            timeout=Duration.minutes(15),
            # It runs while the stack is deleted: an error fails the deletion before the eyes of who asked for it.
            watched=False,
        )

    @classmethod
    def in_stack_of(cls, scope: Construct, *, posture: Posture) -> "BucketEmptier":
        """Return the emptier of the stack that ``scope`` belongs to."""
        stack = Stack.of(scope)
        found = stack.node.try_find_child(_ID)
        return found if isinstance(found, cls) else cls(stack, _ID, posture=posture)

    def empties(self, bucket: s3.Bucket) -> CustomResource:
        """Empty ``bucket`` before it is deleted.

        Whatever still writes to the bucket should depend on the result, so that it is deleted first.
        """
        role = self.function.role
        objects = bucket.arn_for_objects("*")
        # In the bucket's own policy: it lives as long as the bucket, and the role's policy need not grow.
        for actions, resource in (
            (["s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:ListBucketVersions"], bucket.bucket_arn),
            (["s3:DeleteObjectVersion"], objects),
        ):
            bucket.add_to_resource_policy(
                iam.PolicyStatement(principals=[role], actions=actions, resources=[resource])
            )
        emptied = CustomResource(
            bucket,
            "Emptied",
            resource_type="Custom::EmptiedBucket",
            service_token=self.function.function.function_arn,
            properties={"BucketName": bucket.bucket_name, "BucketArn": bucket.bucket_arn},
        )
        if bucket.policy:
            emptied.node.add_dependency(bucket.policy)
        return emptied
