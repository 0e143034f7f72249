"""Invented customers, and requests with the answers that are right."""

import csv
import json
from pathlib import Path

import pytest

from jobs.churn.customers import draw, probe_lines, probes, write_csv
from jobs.churn.features import FEATURES, read_request


def test_the_same_seed_gives_the_same_customers_and_another_seed_others() -> None:
    assert draw("A", 20, seed=1) == draw("A", 20, seed=1)
    assert draw("A", 20, seed=1) != draw("A", 20, seed=2)


@pytest.mark.parametrize("population", ["A", "B", "all"])
def test_every_customer_follows_the_schema_of_a_request(population: str) -> None:
    for probe in probes(population, 20, instances=100):
        assert read_request(probe["body"]) == probe["body"]["instances"]


def test_a_population_that_there_is_not_is_refused() -> None:
    with pytest.raises(KeyError, match="C"):
        draw("C", 1, seed=1)


def test_each_probe_has_an_answer_for_each_customer() -> None:
    made = [*probes("B", 3, instances=4)]
    assert [len(each["body"]["instances"]) for each in made] == [4, 4, 4]
    assert [len(each["expected"]) for each in made] == [4, 4, 4]
    assert {answer for each in made for answer in each["expected"]} <= {0, 1}


def test_probes_are_written_as_one_line_each() -> None:
    lines = probe_lines("A", 5, seed=8, instances=2)
    assert lines.endswith("\n")
    assert [json.loads(line) for line in lines.splitlines()] == [*probes("A", 5, seed=8, instances=2)]


def test_training_reads_a_header_and_the_label_last(tmp_path: Path) -> None:
    customers, left = draw("all", 3, seed=1)
    write_csv(tmp_path / "rows.csv", customers, left)
    with (tmp_path / "rows.csv").open() as file:
        rows = [*csv.reader(file)]
    assert rows[0] == [*FEATURES, "churned"]
    assert [int(row[-1]) for row in rows[1:]] == left
