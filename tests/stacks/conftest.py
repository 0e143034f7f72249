"""Each variant of the scenario, synthesized once."""

import pytest

from tests.stacks.synthesis import VIEWERS, scenario
from tests.stacks.template import Template


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return scenario(tmp_path_factory.mktemp("sandbox"))


@pytest.fixture(scope="session")
def production(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return scenario(
        tmp_path_factory.mktemp("production"), posture="production", data_use_opt_out="p-ai-opt-out"
    )


@pytest.fixture(scope="session")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return scenario(tmp_path_factory.mktemp("dashboard"), dashboard_principal_arn=VIEWERS)


@pytest.fixture(scope="session", params=["sandbox", "production", "dashboard"])
def variant(request: pytest.FixtureRequest) -> Template:
    """Every variant in turn."""
    template: Template = request.getfixturevalue(request.param)
    return template
