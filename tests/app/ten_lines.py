import aws_cdk as cdk

from ml_lens.ai_services import CustomerDemographics
from ml_lens.foundation import Posture

app = cdk.App()
stack = cdk.Stack(app, "Visitors")
CustomerDemographics(stack, "Faces", posture=Posture.sandbox(), purpose="Visitor statistics by age group")
app.synth()
