"""Every built-in metric has a title, no two the same, and none is declared for nothing."""

from benchmarks.metrics.core import metric_names
from benchmarks.metrics.core.metric_titles import TITLES, metric_title


def test_every_metric_has_a_title_of_its_own():
    assert set(TITLES) == set(metric_names._METRICS)
    assert len(set(TITLES.values())) == len(TITLES)


def test_what_a_metric_declares_goes_first_and_names_are_made_readable():
    assert metric_title("bleu") == "BLEU"
    assert metric_title("bleu", "My BLEU") == "My BLEU"
    assert metric_title("my_score") == "my score"
    assert metric_title("evaluate:google_bleu#precisions") == "google bleu, precisions (evaluate)"
