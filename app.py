"""Composition root: read the settings, add the chosen scenarios, attach the rule packs."""

import importlib
import sys

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from ml_lens.foundation import Posture, PropError
from ml_lens.rules.pack import MLLensChecks
from stacks import SCENARIOS
from stacks.settings import SettingsError, read_settings


def add_scenarios(app: cdk.App) -> None:
    """Add every scenario that the context of ``app`` asks for, with its settings."""
    scenarios = {name: importlib.import_module(package) for name, package in SCENARIOS.items()}
    settings = read_settings(
        app.node.get_all_context(), {name: module.Settings for name, module in scenarios.items()}
    )
    for name in settings.scenarios:
        scenarios[name].ScenarioStack(
            app, name, posture=Posture.named(settings.posture), settings=settings.of(name)
        )


def main() -> None:
    """Synthesize; a mistake in the settings ends with what to change, and exit status 1."""
    app = cdk.App()
    try:
        add_scenarios(app)
    except SettingsError as mistake:
        sys.exit(f"error: {mistake}")
    except PropError as mistake:
        sys.exit("error: " + "\n".join(f"{mistake.owner}: {problem}" for problem in mistake.problems))
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), MLLensChecks(app))
    try:
        app.synth()
    except RuntimeError as refusal:
        if "ValidationFailed" not in str(refusal):
            raise
        sys.exit(
            "error: the templates break rules, listed in validation-report.json; mend each finding, or "
            "acknowledge it inside its construct"
        )


if __name__ == "__main__":
    main()
