# my_package/task.py
from baselines.contract import Limits
from benchmarks.tasks import Task

TASK = Task(
    name="headline",
    version="1",
    title="Headlines: a line for a message",
    conditional=True,
    limits=Limits(source_tokens=64, target_tokens=16),
    metrics=("rouge_l", "novelty", "length"),
    headline=("rouge_l",),
    floors=("lead", "reference"),
    systems=("one_shot", "gpt2"),
    sources=("table", "local"),
    note="The messages are mine; do not send what a system writes.",
)
