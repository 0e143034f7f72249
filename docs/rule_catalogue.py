"""The page about the rules, written from the rules themselves: ``python -m docs.rule_catalogue``."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from ml_lens.rules.catalogue import RULES
from ml_lens.rules.explanation import in_markdown
from ml_lens.rules.formats import escaped
from ml_lens.rules.options import PILLARS, Options
from ml_lens.rules.rule import Rule

PAGE = Path(__file__).resolve().parent / "rules.md"

OPTIONS: dict[str, tuple[str, str]] = {
    "environment": (
        "--environment",
        "`prod` makes the rules of production errors, anything else warnings; see [Environment](#environment)",
    ),
    "unresolved": (
        "--unresolved",
        "what an answer is that the template leaves open: `warn`, `error`, `ignore`",
    ),
    "pillars": ("--pillar", "the pillars to run"),
    "existing_customer": (
        "--existing-customer",
        "services closed to new customers that this account may still use: `model-monitor`, `clarify`, "
        "`pinpoint`, `greengrass-v1`, `forecast`",
    ),
    "max_temporary_days": ("--max-temporary-days", "age in days at which temporary raw data has to be gone"),
    "max_runtime_seconds": ("--max-runtime-seconds", "longest time that a job may ask for"),
    "max_idle_minutes": ("--max-idle-minutes", "longest idle time of a development application"),
    "development_size": ("", "largest instance size of an endpoint outside production"),
    "max_single_model_endpoints": ("", "endpoints with one image that may stand side by side"),
    "min_noncurrent_days": ("", "days for which replaced versions of artifacts have to be kept"),
    "cost_tags": ("--cost-tag", "tag keys that machine-learning resources must carry"),
    "auto_stop_markers": ("", "words by which a lifecycle script shows that it stops an idle notebook"),
    "image_accounts": ("--image-account", "further registry accounts whose images count as private"),
}
"""Every option with its name on the command line, if it has one, and its meaning."""

ROLES: dict[str, str] = {
    "data-lake": "a bucket with the data of a data lake, which Lake Formation governs",
    "training-data": "a bucket that training jobs read",
    "model-artifacts": "a bucket with trained models",
    "inference-capture": "a bucket with what an endpoint was asked and what it answered",
    "derived-pii": "a bucket with personal data derived from other data; its key encrypts nothing else",
    "temporary-raw": "a bucket with raw data that is erased once it has been processed",
    "logs": "a bucket with access logs or audit records",
    "web": "a bucket with the files of a web site",
    "manifest": "the table or bucket that records which artifacts make up a deployment",
    "on-demand": "a state machine that creates an endpoint, uses it and deletes it",
    "deployment": "a state machine that deploys models, and leaves its endpoints standing",
    "cleanup": "the role that may erase what a `temporary-raw` bucket holds",
    "break-glass": "a role for emergencies, which may deploy past the pipeline",
}
"""What the metadata of a resource may say that it is for."""

INTRODUCTION = """\
# The rules

The Machine Learning Lens as {count} rules that hold any CloudFormation template to it: of this library, of another CDK
app, or written by hand. The rules read synthesized templates, all of an app together. So they see what escape hatches
changed, what state machines and pipelines start, and what stands in another stack. They look nothing up and need no
account.

This page is written from the rules: `python -m docs.rule_catalogue`.

## Three ways to run them

**On the command line**, over a `cdk.out` folder, a template in JSON or YAML, or a folder of templates:

```sh
python -m ml_lens.rules check cdk.out
python -m ml_lens.rules check template.yaml --environment dev --fail-on warning
python -m ml_lens.rules check cdk.out --format markdown --output comment.md
python -m ml_lens.rules list
python -m ml_lens.rules explain SEC02-NotebookNoRoot
```

The formats are `text`, `json`, `sarif` and `markdown`. The exit status is 1 when an error stands, 0 when none does,
and 2 when the input cannot be used; with `--fail-on warning`, warnings count as well.

**At every synthesis of a CDK app**, beside the packs of cdk-nag (`pip install 'ml-lens-constructs[nag]'`):

```python
import aws_cdk as cdk
from aws_cdk import aws_sagemaker as sagemaker

from ml_lens.rules.pack import MLLensChecks

app = cdk.App()
stack = cdk.Stack(app, "Lab")
desk = sagemaker.CfnNotebookInstance(
    stack, "Desk", instance_type="ml.t3.medium", role_arn="arn:aws:iam::111122223333:role/desk"
)
cdk.Validations.of(app).add_plugins(MLLensChecks(app))
```

**As a function**, for a test or a report of one's own:

```python
from ml_lens.rules import check

for finding in check("cdk.out", environment="prod", unresolved="error"):
    print(finding.level, finding.id, finding.resource, finding.message)
```

## Three answers

A rule passes, it fails, or the template does not say. A value that is only known at deployment, such as a parameter
without allowed values or an import from elsewhere, is neither good nor bad. It is reported as a warning of the same
rule, `MLLens-SEC02-NotebookNoRoot[unresolved:RootAccess]`, with the property that is open. `unresolved="error"` makes
such findings errors, `unresolved="ignore"` leaves them out.

Both branches of a condition count. A parameter fails a rule when none of its allowed values passes, and passes when all
of them do.

## Acknowledging a finding

A finding is acknowledged by its id with `MLLens::` before it, on the construct that has it or above, with a reason.
What a rule tells apart in brackets is acknowledged one by one: `MLLens::MLLens-SEC02-TrainingJobSecure[isolation]`.

```python
cdk.Validations.of(desk).acknowledge(
    cdk.Acknowledgment(
        id="MLLens::MLLens-SEC02-NotebookNoRoot",
        reason="The platform team installs drivers on this notebook, and nobody else can open it.",
    )
)
```

The id without `MLLens::` works as well, as in the packs of cdk-nag. The finding then stands in
`validation-report.json` as suppressed, with the reason. Acknowledgements are part of the app, so the command line,
which sees templates only, reports such findings still.

## Options

`MLLensChecks(app, …)`, `check(…, …)` and the command line take the same options. Every default is the strict one.

{options}

On the command line, an option that holds several values is repeated: `--pillar security --pillar cost`.

## Environment

Rules marked "error in production, warning elsewhere" ask for what costs money and only production needs, such as a
second instance. A resource belongs to production when the option `environment` says `prod` or `production`; without the
option, when the tag `mllens:environment` of its stack says so; without that, when its own tag does. Without any of
these, it belongs to production.

## Roles

Some rules look at a resource for what it is used for. Buckets are recognized by their use: where a model loads its
artifacts from, where a training job reads, where an endpoint writes what it captures. The template may say it instead,
and then that counts. A bucket of which nothing tells what it is for is not judged by the rules on data, so say it:

```yaml
Images:
  Type: AWS::S3::Bucket
  Metadata:
    MLLens:
      Role: temporary-raw
      Prefix: images/  # optional; without it, the whole bucket
```

{roles}

## Code scanning on GitHub

SARIF brings the findings to the pull request and to the security tab. Run the command where the repository is checked
out, as the paths are written from the current folder.

```yaml
name: rules
on: [pull_request]
permissions:
  contents: read
  security-events: write
jobs:
  rules:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v6
      - uses: actions/setup-python@v6
        with:
          python-version: "3.13"
      - run: pip install -r requirements.txt
      - run: npx cdk synth --quiet
      - run: python -m ml_lens.rules check cdk.out --format sarif --output mllens.sarif
      - uses: github/codeql-action/upload-sarif@v4
        if: ${{{{ !cancelled() }}}}
        with:
          sarif_file: mllens.sarif
          category: mllens
```
"""


def page(rules: Sequence[Rule] = RULES) -> str:
    """Return the page."""
    introduction = INTRODUCTION.format(
        count=len(rules),
        options=_table(["Option", "On the command line", "Default", "Meaning"], _options()),
        roles=_table(["Role", "Of"], ([f"`{role}`", meaning] for role, meaning in ROLES.items())),
    )
    return "\n".join([introduction, *_pillars(rules)])


def _pillars(rules: Sequence[Rule]) -> Iterator[str]:
    for pillar in PILLARS:
        chosen = [rule for rule in rules if rule.pillar == pillar]
        if not chosen:
            continue
        rows = ([f"[{rule.name}]({_anchor(rule)})", str(rule.weight), escaped(rule.title)] for rule in chosen)
        yield f"## {pillar.replace('-', ' ').capitalize()}\n"
        yield _table(["Rule", "Level", "What it wants"], rows) + "\n"
        for rule in chosen:
            yield f"### {rule.id}\n\n{in_markdown(rule)}"


def _options() -> Iterator[list[str]]:
    for option in fields(Options):
        flag, meaning = OPTIONS[option.name]
        yield [f"`{option.name}`", f"`{flag}`" if flag else "-", _default(option.name), meaning]


def _default(name: str) -> str:
    value: Any = getattr(Options(), name)
    if value is None:
        return "as tagged, else `prod`"
    if value == PILLARS:
        return "all"
    if isinstance(value, tuple | frozenset):
        return ", ".join(f"`{each}`" for each in sorted(value)) or "none"
    return f"`{value}`"


def _anchor(rule: Rule) -> str:
    return f"#{rule.id.lower()}"


def _table(heads: list[str], rows: Iterable[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    print(PAGE.name)
