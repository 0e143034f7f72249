"""The scenario of figure 14, synthesized for the tests."""

from pathlib import Path

import aws_cdk as cdk

from ml_lens.foundation import Posture
from stacks.serverless_inference import ScenarioStack, Settings
from tests.stacks.synthesis import new_app, templates
from tests.stacks.template import Template

SERVING = "ServerlessInference"
ACL = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/office/0f9c1a52-8d1e-4b7e-9a55-3d6f1c2b7a10"
GUARDED = {"ip_ranges": ("203.0.113.0/24",), "web_acl_arn": ACL}


def add_serving(app: cdk.App, name: str = SERVING, *, posture: str = "sandbox", **settings: object) -> None:
    ScenarioStack(app, name, posture=Posture.named(posture), settings=Settings(**settings))


def serving(outdir: Path, *, posture: str = "sandbox", **settings: object) -> Template:
    """Synthesize the scenario alone."""
    app = new_app(outdir)
    add_serving(app, posture=posture, **settings)
    return templates(app)[SERVING]
