"""Rules on how experiments in notebooks are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml_lens.rules.networks import DOMAIN, NOTEBOOK
from ml_lens.rules.rule import WARNING, rule
from ml_lens.rules.verdicts import PASS, Verdict, any_of, must_exist

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph, Node


@rule(
    "OPS02-NotebookCodeRepository",
    number=47,
    weight=WARNING,
    on=NOTEBOOK,
    title="Notebooks work in a code repository.",
    why="An experiment that is not in version control cannot be repeated or reviewed.",
    fix="Give the notebook a DefaultCodeRepository.",
    cloudformation="""
Type: AWS::SageMaker::NotebookInstance
Properties:
  DefaultCodeRepository: !GetAtt Repository.CodeRepositoryName
""",
    lens2020=("MLOPS 02", "MLOPS 07"),
    lens2025="MLOPS03-BP02",
    settled=(
        "A domain of the app whose JupyterLab gives users or spaces code repositories stands for one on each notebook.",
    ),
)
def notebook_has_a_code_repository(notebook: Node) -> Verdict:
    """Look at the notebook, then at the domains of the app."""
    own = must_exist(notebook["DefaultCodeRepository"])
    if own.answer is PASS:
        return own
    graph = notebook.graph
    return any_of(own, *graph.once("repositories of domains", lambda: _repositories_of_domains(graph)))


def _repositories_of_domains(graph: Graph) -> list[Verdict]:
    """Return the best verdict on all domains together, if there are any."""
    found = [
        must_exist(domain[settings]["JupyterLabAppSettings"]["CodeRepositories"])
        for domain in graph.nodes(DOMAIN)
        for settings in ("DefaultUserSettings", "DefaultSpaceSettings")
    ]
    return [any_of(*found)] if found else []


RULES = (notebook_has_a_code_repository,)
