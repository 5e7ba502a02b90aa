"""The figures of a run say what its records say: looked at as data of axes, in every size."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from itertools import combinations

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import imread

from baselines.contract import UserError
from benchmarks.records.schema import Training
from reports import content, pictures
from reports.figures import Picture, quality, speed, training
from reports.figures.axis import linear
from reports.figures.colours import PAPER, QUIET
from reports.figures.looks import looks
from reports.figures.sheet import AxesFrame, Sheet
from reports.figures.sizes import PAGE, SIZES, size_named
from reports.panels import SCRATCH
from reports.quantities import Quantity


@pytest.fixture(scope="module")
def report(run_folder):
    return content.build(run_folder, run_folder / "report")


@pytest.fixture(scope="module")
def panel(report):
    return report.sections[0].panel


def crowd(panel, count, apart=0.02):
    """A panel of so many settings of one system, all nearly alike."""
    [first, *_] = [entry for entry in panel.trained if entry.system == "gpt2"]
    generator, column, entries, scores = np.random.default_rng(0), panel.headline, [], {}
    for number in range(count):
        rate = float(100 * np.exp(generator.normal(0, 10 * apart)))
        score = float(0.5 + generator.normal(0, apart))
        name = f"beam search of width {number}"
        entries.append(
            replace(first, key=f"entry-{number}", setting=name, setting_title=name, short=f"gpt2, {name}",
                    throughput=Quantity(rate, rate * 0.95, rate * 1.05, 9))
        )  # fmt: skip
        known = column.scores[first.key]
        scores[f"entry-{number}"] = replace(known, quantity=Quantity(score, score - 0.01, score + 0.01, 60))
    return replace(panel, entries=tuple(entries), columns=(replace(column, scores=scores),), headlines=(column.metric,))


FINE = 4  # pixels a point, where it is measured what overlaps


def texts(figure):
    return [text for axes in figure.axes for text in (*axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels())]


def overlapping(figure):
    """Pairs of texts that stand over each other, to half a point, and texts that leave the figure."""
    figure.set_dpi(72 * FINE)  # as fine as print: coarse pixels would make letters wider
    canvas = FigureCanvasAgg(figure)
    renderer = canvas.get_renderer()
    figure.draw_without_rendering()
    boxes = [
        (t.get_text(), t.get_window_extent(renderer))
        for t in texts(figure)
        if t.get_text() and t.get_rotation() in (0, 90)
    ]
    width, height = figure.get_size_inches() * figure.dpi
    out = [
        told for told, box in boxes
        if min(box.x0, box.y0) < -FINE / 2 or max(box.x1 - width, box.y1 - height) > FINE / 2
    ]  # fmt: skip
    return out + [
        (a, b) for (a, one), (b, other) in combinations(boxes, 2)
        if min(one.x1 - other.x0, other.x1 - one.x0) > FINE / 2 and min(one.y1 - other.y0, other.y1 - one.y0) > 2 * FINE
    ]  # fmt: skip


def marks(axes, name):
    """The lines that are the mark of an entry."""
    return [line for line in axes.lines if line.get_label() == name]


def test_every_entry_is_a_mark_at_its_speed_and_score(report, panel):
    [axes] = pictures.of_report(report)["figure"].figure.axes
    found = looks([entry.system for entry in panel.trained])
    assert len(panel.trained) == 6
    for entry in panel.trained:
        [mark] = marks(axes, entry.name)
        assert mark.get_xydata().tolist() == [[entry.throughput.value, panel.headline.scores[entry.key].quantity.value]]
        assert (mark.get_color(), mark.get_marker()) == (found[entry.system].colour, found[entry.system].marker)
    assert axes.get_xscale() == "log"
    assert len([patch for patch in axes.patches if patch.get_alpha()]) == 6, "a region each"
    told = {text.get_text() for text in axes.texts}
    assert {"cosmos", "gpt2", "mdlm", "reference", "retrieval", "copy", "unigram", f"front, {SCRATCH}"} <= told


def test_the_front_is_of_valid_timings_alone(panel):
    column = panel.headline
    front = quality.front_of(panel)[SCRATCH]
    points = [(entry.throughput.value, column.scores[entry.key].quantity.value) for entry in front]
    assert points == sorted(points) and [y for _, y in points] == sorted((y for _, y in points), reverse=True)
    best = front[-1]  # the fastest
    doubtful = tuple(
        replace(record, header=replace(record.header, verdict={"valid": False, "reasons": ["busy"]}))
        for record in best.records
    )
    entries = tuple(replace(e, records=doubtful) if e.key == best.key else e for e in panel.entries)
    changed = replace(panel, entries=entries)
    assert best.key not in {entry.key for entry in quality.front_of(changed)[SCRATCH]}
    picture = quality.against_speed(["a"], [changed], [{}], PAGE)
    [axes] = picture.figure.axes
    [mark] = marks(axes, best.name)
    assert mark.get_markerfacecolor() == PAPER and "on no front" in picture.caption
    [stairs] = marks(axes, f"front {SCRATCH}")
    assert best.throughput.value not in stairs.get_xdata() and stairs.get_color() == QUIET


def test_stairs_go_down_where_lower_is_better_as_well(panel):
    lower = replace(panel, columns=(replace(panel.headline, direction="lower"),), headlines=())
    [stairs] = marks(quality.against_speed(["a"], [lower], [{}], PAGE).figure.axes[0], f"front {SCRATCH}")
    assert list(np.diff(stairs.get_ydata()) >= 0).count(False) == 0
    kept = {entry.key for entry in quality.front_of(lower)[SCRATCH]}
    worst = min(lower.trained, key=lambda e: lower.headline.scores[e.key].quantity.value if e.track == SCRATCH else 9)
    assert worst.key in kept


def test_a_region_holds_both_as_often_as_it_says():
    """Of draws of a speed and a score that are independent and normal, 95 % are within."""
    point = quality.PlacedEntry(
        None, Quantity(100.0, 100 * np.exp(-0.196), 100 * np.exp(0.196)), Quantity(0.5, 0.304, 0.696)
    )
    xs, ys = quality.region(point)
    generator = np.random.default_rng(0)
    x, y = generator.normal(0, 0.1, 20_000), generator.normal(0, 0.1, 20_000)
    from matplotlib.path import Path

    inside = Path(list(zip(np.log(np.array(xs) / 100), np.array(ys) - 0.5, strict=True))).contains_points(
        np.stack([x, y], 1)
    )
    assert inside.mean() == pytest.approx(0.95, abs=0.006)
    clipped = quality.region(replace(point, y=Quantity(0.98, 0.9, 1.0)), share=True)
    assert max(clipped[1]) == 1.0
    assert quality.region(replace(point, x=Quantity(100.0))) is None


def test_calls_are_those_of_the_records(report, panel):
    [axes] = pictures.of_report(report)["calls"].figure.axes
    for entry in panel.trained:
        [mark] = marks(axes, entry.name)
        assert mark.get_xdata() == [entry.calls.value]
    assert len(axes.collections) == 6, "an interval each"


def test_single_texts_are_rows_of_their_times(report, panel):
    [axes] = pictures.of_report(report)["latency"].figure.axes
    medians = []
    for row, _ in enumerate(panel.trained):
        [dots] = [line for line in axes.lines if len(line.get_ydata()) and set(line.get_ydata()) == {row}]
        [entry] = [entry for entry in panel.trained if entry.short == dots.get_label()]
        assert sorted(dots.get_xdata()) == speed.latencies(entry) and len(dots.get_xdata()) == 9
        medians.append(np.median(speed.latencies(entry)))
    assert medians == sorted(medians, reverse=True), "the quickest on top"


def test_throughput_by_batch_is_that_of_the_table(panel):
    sizes = {1: 5.0, 4: 19.0, 40: 90.0}
    entries = tuple(
        replace(entry, sweep={n: Quantity(v, v * 0.9, v * 1.1, 5) for n, v in sizes.items() if n > 1})
        if entry.trained
        else entry
        for entry in panel.entries
    )
    picture = speed.by_batch(["a"], [replace(panel, entries=entries)], PAGE)
    [axes] = picture.figure.axes
    for entry in (entry for entry in entries if entry.trained):
        line = marks(axes, entry.short)[0]
        assert list(line.get_xdata()) == [1, 4, 10, 40]
        assert line.get_ydata()[2] == entry.throughput.value and line.get_ydata()[3] == 90.0
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "4", "10", "40"]
    assert speed.by_batch(["a"], [panel], PAGE) is None, "one number was timed"


STAGES = {
    "autoencoder": {"steps": 100, "seconds": 40.0, "notes": {
        "encoding_seconds": 10.0, "validation_losses": [[50, 3.0], [100, 2.0]]}},
    "diffusion": {"steps": 10, "seconds": 60.0, "notes": {
        "preparation": {"seconds": 20.0}, "validation_losses": [[5, 0.7], [10, 0.6]]}},
}  # fmt: skip


def test_losses_stand_at_the_seconds_of_their_steps():
    first, second = training.stages(Training(110, 100.0, 1e12, 0.6, STAGES))
    assert (first.stage, first.seconds, first.losses) == ("autoencoder", (25.0, 40.0), (3.0, 2.0))
    assert (second.stage, second.seconds) == ("diffusion", (80.0, 100.0))
    [alone] = training.stages(Training(4, 8.0, 1e9, 1.0, {"validation_losses": [[1, 2.0], [4, 1.0]], "processes": 2}))
    assert alone.seconds == (4.0, 16.0), "of all processes together"
    older = {"encoding_seconds": 5.0, "reader": {"steps": 2, "seconds": 4.0, "history": [[1, 2.0], [2, 1.0]]}}
    [reader] = training.stages(Training(2, 9.0, 1e9, 1.0, older))
    assert reader.seconds == (7.0, 9.0)
    assert training.stages(Training(0, 0.0, 0.0, None, {})) == []


def test_each_objective_has_axes_of_its_own_and_each_training_a_line(panel):
    def trained(record, notes):
        return replace(record, header=replace(record.header, training=Training(10, 20.0, 1e9, 1.0, notes)))

    losses = {"validation_losses": [[5, 2.0], [10, 1.0]]}
    entries = tuple(
        replace(e, records=tuple(trained(r, STAGES if e.system == "cosmos" else losses) for r in e.records))
        if e.trained
        else e
        for e in panel.entries
    )
    picture = training.losses(["a"], [replace(panel, entries=entries)], PAGE)
    titles = {text.get_text() for axes in picture.figure.axes for text in axes.texts}
    assert {"cosmos, autoencoder", "cosmos, diffusion", "gpt2", "mdlm"} <= titles and len(picture.figure.axes) == 4
    assert "never compared" in picture.caption
    own = next(axes for axes in picture.figure.axes if "gpt2" in {t.get_text() for t in axes.texts})
    assert {tuple(line.get_xdata()) for line in own.lines if len(line.get_xdata()) == 2} == {(10.0, 20.0)}, (
        "one for both settings"
    )
    assert training.losses(["a"], [panel], PAGE) is None
    column = training.losses(["a"], [replace(panel, entries=entries)], SIZES["column"]).figure
    assert [axes.get_position().x0 < 0.3 for axes in column.axes] == [True] * 4, "one under the other"
    assert overlapping(column) == []


@pytest.mark.parametrize(("size", "count"), [("page", 1), ("column", 6), ("column", 30), ("page", 30), ("slide", 30)])
def test_no_name_overlaps_and_none_is_lost(panel, size, count):
    """Also where thirty entries are all but on top of each other."""
    crowded = crowd(panel, count)
    picture = quality.against_speed(["a"], [crowded], [{e.key: 0.004 for e in crowded.trained}], SIZES[size])
    assert overlapping(picture.figure) == []
    told = " ".join(text.get_text() for text in picture.figure.axes[0].texts).replace("\N{NO-BREAK SPACE}", " ")
    for entry in crowded.trained:
        assert f"{entry.setting}, < 1 %" in told or f"({entry.setting}), < 1 %" in told, entry.setting

    lines = [text.get_text() for text in picture.figure.axes[0].texts]
    below = {line.partition(" ")[0] for line in lines if re.match(r"\d+ gpt2 ", line)}
    assert below == {line for line in lines if line.isdigit()}, "each number that stands below stands at its point too"


@pytest.mark.parametrize("size", SIZES)
def test_figures_are_as_wide_as_they_are_called_and_their_type_is_7_to_9_points(report, panel, size):
    found = pictures.of_report(report, SIZES[size])
    swept = tuple(replace(e, sweep={64: Quantity(9.0, 8.0, 10.0, 5)}) if e.trained else e for e in panel.entries)
    found["batches"] = speed.by_batch(["a"], [replace(panel, entries=swept)], SIZES[size])
    for name, picture in found.items():
        figure = picture.figure
        assert figure.get_size_inches()[0] == pytest.approx({"column": 3.25, "page": 6.5, "slide": 16 / 3}[size])
        assert {text.get_fontsize() for text in texts(figure) if text.get_text()} <= {7.0, 7.5, 8.0, 8.5, 9.0}, name
        assert overlapping(figure) == [], name


def test_a_point_that_is_alone_has_axes(panel):
    [axes] = quality.against_speed(
        ["a"], [replace(crowd(panel, 1), entries=crowd(panel, 1).entries[:1])], [{}], PAGE
    ).figure.axes
    (low, high), (left, right) = axes.get_ylim(), axes.get_xlim()
    assert 0.02 < high - low < 1 and right / left > 1.5
    assert len(axes.get_xticks()) >= 2 and len(axes.get_yticks()) >= 2


def test_every_form_is_whole_and_the_same_each_time(report):
    one, again = (pictures.of_report(report)["latency"] for _ in range(2))
    assert one.svg == again.svg and one.pdf == again.pdf and one.png == again.png
    assert one.pdf.startswith(b"%PDF") and one.png.startswith(b"\x89PNG")
    assert int.from_bytes(one.png[16:20]) == int(6.5 * PAGE.dpi)


def crossed(haloed):
    """A picture of a label that a red line crosses."""
    sheet = Sheet(PAGE)
    frame = AxesFrame(sheet, linear("x", [0, 1]), linear("y", [0, 1]))
    frame.stroke([(100.0, 100.0), (200.0, 100.0)], "#ff0000", 2.0)
    frame.write(110.0, 100.0, "a label that a line crosses", 8.0, haloed=haloed, va="center", zorder=4)
    return Picture("one", "", sheet.finish(), "")


def test_a_line_does_not_cut_a_label_that_has_a_halo():
    red = {}
    for haloed in (False, True):
        pixels = imread(io.BytesIO(crossed(haloed).png))
        red[haloed] = int(((pixels[..., 0] > 0.9) & (pixels[..., 1] < 0.2)).sum())
    assert 0 < red[True] < red[False] / 2


def test_text_with_a_halo_stays_text():
    svg = crossed(True).svg
    assert svg == crossed(False).svg and svg.count(">a label that a line crosses</text>") == 1
    assert re.search(r"@supports \(paint-order: stroke\) \{ text \{ [^}]*stroke: #fefefe;", svg)
    assert "stroke: var(--paper);" in crossed(True).themed
    with matplotlib.rc_context({"pdf.compression": 0}):
        haloed, plain = (crossed(haloed).pdf for haloed in (True, False))
    assert haloed.count(b"\nBT\n") == plain.count(b"\nBT\n") > 0 and len(haloed) > len(plain)


def test_a_size_that_is_not_there_is_said():
    with pytest.raises(UserError, match="Unknown size of figures 'colum'; did you mean column"):
        size_named("colum")


def test_chosen_sizes_come_in_every_form(report, run_folder, tmp_path):
    found = {name: picture for name, picture in pictures.of_report(report).items() if name != "calls"}
    pictures.write({"latency": found["latency"]}, tmp_path, whole=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latency.pdf", "latency.png", "latency.svg"]
