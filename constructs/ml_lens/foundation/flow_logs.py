"""The record of what goes in and out of a network."""

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from ml_lens.foundation.log_groups import kept_log_group
from ml_lens.foundation.posture import Posture


class FlowLogs(Construct):
    """Records all traffic of a VPC, accepted and rejected, in an encrypted log group.

    Lens: NB-03.
    """

    def __init__(
        self, scope: Construct, id: str, *, posture: Posture, vpc: ec2.IVpc, log_key: kms.IKey
    ) -> None:
        """Create log group, role and flow log.

        Args:
            scope: Where the flow logs belong.
            id: Their construct id.
            posture: Decides how long records are kept.
            vpc: The network that is recorded.
            log_key: Encrypts the log group; CloudWatch Logs must be allowed to use it.
        """
        super().__init__(scope, id)
        self.log_group = kept_log_group(self, posture=posture, key=log_key)
        self.role = self._role()
        # CDK's own FlowLog also lets the role pass itself on, which nothing needs.
        ec2.CfnFlowLog(
            self,
            "Resource",
            resource_type="VPC",
            resource_id=vpc.vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_group_name=self.log_group.log_group_name,
            deliver_logs_permission_arn=self.role.role_arn,
        )

    def _role(self) -> iam.Role:
        stack = Stack.of(self)
        flow_logs = stack.format_arn(
            service="ec2",
            resource="vpc-flow-log",
            resource_name="*",
            arn_format=ArnFormat.SLASH_RESOURCE_NAME,
        )
        deliver = iam.PolicyStatement(
            actions=["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            resources=[self.log_group.log_group_arn],
        )
        return iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal(
                "vpc-flow-logs.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {"aws:SourceArn": flow_logs},
                },
            ),
            # In the role itself, so that the flow log never finds the role without its rights.
            inline_policies={"Deliver": iam.PolicyDocument(statements=[deliver])},
        )
