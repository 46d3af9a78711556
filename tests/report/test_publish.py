"""Figures for print from run files: what is on them, what they are made of, what is skipped."""

import json

import numpy as np
import pytest
from matplotlib.text import Text

from cimlab.core.errors import RecordError
from cimlab.records import Header, RunWriter
from cimlab.records.weights import WeightMap
from cimlab.report import style
from cimlab.report.costs import cost_table
from cimlab.report.material import opened
from cimlab.report.publish import FIGURES, publish
from tests.records.support import HEADER, SPEC, TEMPLATE, add_epoch

MODES = ("fp32", "fp32", "mixed", "mixed")
WEIGHTS = WeightMap(
    names=("fc",),
    shapes=((1, 4),),
    cells=np.array([[0, 3, 6, 12], [1, 4, 7, 13]]),
    layer=np.zeros(4, np.int64),
    scale=np.full(4, 2e5),
)


def train(path, mode="mixed", epochs=3, network="lenet"):
    plan = {"mode": mode, "network": network}
    with RunWriter.create(path, Header("train", SPEC, {}, plan, {}, WEIGHTS), TEMPLATE) as run:
        for number in range(1, epochs + 1):
            add_epoch(run, number)
    return path


def programmed(path, missed=0):
    target = np.tile([1e-6, 2e-6, 3e-6], 8).reshape(SPEC.shape)
    current = target + np.random.default_rng(0).normal(0.1e-6, 0.05e-6, SPEC.shape)
    with RunWriter.create(path, Header("program", SPEC, {}, {"protocol": "ispp"}, {})) as run:
        one = np.ones(SPEC.shape)
        run.append(
            "programming",
            v_read=0.1,
            rounds=9,
            target=target,
            current=current,
            pulses=one,
            converged=np.arange(one.size).reshape(one.shape) >= missed,
        )
        run.append("maps", step=0, v_read=0.1, current=current, pulses=one, reads=one)
    return path


def noise(path):
    reads, cells = 20, np.arange(6)
    plan = {"v_read": 0.1, "averages": 1}
    with RunWriter.create(path, Header("sweep:noise", SPEC, {}, plan, {})) as run:
        current = 2e-6 + np.random.default_rng(1).normal(0, 0.1e-6, reads * cells.size)
        run.extend(
            "points",
            {
                "time": np.repeat(np.arange(reads) * 1.0, cells.size),
                "index": np.repeat(np.arange(reads), cells.size),
                "cell": np.tile(cells, reads),
                "v_read": np.full(current.size, 0.1),
                "current": current,
                "saturated": np.zeros(current.size, bool),
                **{n: np.zeros(current.size) for n in ("cycle", "v", "width", "count")},
            },
        )
    return path


def study(path, digest, mean):
    lines = [{"study": "transfer"}, {"case": {"run": digest}, "result": {"accuracy": 0.97}}]
    for seed, accuracy in enumerate(np.random.default_rng(2).normal(mean, 0.01, 8)):
        case = {"run": digest, "sigma": 0.5, "chip": 0, "seed": seed, "plan": {}}
        result = {"draws": [{"recalibrated": False, "accuracy": accuracy}]}
        lines.append({"case": case, "result": result})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def digest(file):
    import hashlib

    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    mixed = train(folder / "mixed.h5")
    return [
        mixed,
        train(folder / "again.h5", epochs=2),
        train(folder / "fp32.h5", "fp32"),
        programmed(folder / "program.h5"),
        noise(folder / "noise.h5"),
        study(folder / "transfer.jsonl", digest(mixed), 0.95),
    ]


def words(figure):
    return " ".join(text.get_text() for text in figure.findobj(Text))


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("width", [style.SINGLE, style.DOUBLE])
def test_every_figure_says_whose_data_and_what_is_the_papers(files, name, width):
    with opened(files) as found:
        figure = FIGURES[name](found, width)
    assert not isinstance(figure, str), figure
    assert figure.get_figwidth() == width
    said = words(figure)
    assert "emulated" in said
    assert "paper: " in said
    for axes in figure.axes:
        assert axes.get_xlabel() or axes.get_ylabel() or len(figure.axes) > 1


def test_numbers_on_the_figures_are_those_of_the_files(files):
    with opened(files) as found:
        error = words(FIGURES["programming-error"](found, 3.5))
        updates = FIGURES["updates"](found, 3.5)
        accuracy = FIGURES["accuracy"](found, 3.5)
        transfer = FIGURES["transfer"](found, 3.5)
        with_levels = words(FIGURES["levels"](found, 3.5))
    current = np.tile([1e-6, 2e-6, 3e-6], 8).reshape(SPEC.shape) * 0
    off = current + np.random.default_rng(0).normal(0.1e-6, 0.05e-6, SPEC.shape)
    assert f"{1e6 * off.mean():+.3f}" in error
    assert f"n = {off.size}" in error
    assert "+0.097" in error  # the paper's
    # 20 updates of 4 weights an epoch
    assert updates.axes[0].lines[0].get_ydata() == pytest.approx([5.0, 5.0, 5.0])
    drawn = {line.get_label(): line.get_ydata() for line in accuracy.axes[0].lines}
    assert drawn["paper: on chip"][-1] == 97.7
    assert any(np.allclose(y, [50.0, 75.0, 87.5]) for y in drawn.values())
    assert "paper" in words(transfer)
    assert "3 levels, n = 24 cells, 8 a level" in with_levels


def test_cells_that_missed_the_band_are_counted(tmp_path):
    with opened([programmed(tmp_path / "program.h5", missed=5)]) as found:
        said = words(FIGURES["levels"](found, 3.5)), words(FIGURES["programming-error"](found, 3.5))
    assert "n = 19 cells" in " ".join(said[0].split())
    for text in said:
        assert "(5 more missed the band, not drawn)" in " ".join(text.split())


def test_accuracies_far_apart_get_two_panels(files, tmp_path):
    with opened(files) as found:
        top, rest = FIGURES["accuracy"](found, 3.5).axes
        assert top.get_ylim() == (85, 100)
        assert rest.get_ylim() == (0, 85)
    marked = [
        (axes, float(y))
        for axes in (top, rest)
        for line in axes.lines
        if line.get_marker() != "None"
        for y in np.asarray(line.get_ydata())[line.get_markevery()]
    ]
    assert all((y >= 85) == (axes is top) for axes, y in marked)
    # the paper's 13, and three epochs of FP32 and mixed precision
    assert sum(axes is top for axes, _ in marked) >= 14


def test_networks_of_a_mode_are_one_violin_over_the_mean_of_fp32(tmp_path):
    runs = [train(tmp_path / f"{n}.h5", mode, epochs=n) for n, mode in enumerate(MODES, 1)]
    lines = [{"study": "transfer"}]
    for n, run in enumerate(runs, 1):
        lines.append({"case": {"run": digest(run)}, "result": {"accuracy": 0.9 + 0.01 * n}})
        draw = {"recalibrated": False, "accuracy": 0.1 * n}
        case = {"run": digest(run), "sigma": 0.5, "chip": 0, "seed": 0, "plan": {}}
        lines += [{"case": case | {"seed": k}, "result": {"draws": [draw]}} for k in range(2)]
    study = tmp_path / "t.jsonl"
    study.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    with opened([*runs, study]) as found:
        figure = FIGURES["transfer"](found, 7.2)
    said = " ".join(words(figure).split())
    # mixed 0.3 and 0.4, FP32 0.1 and 0.2, over FP32's 0.915
    assert f"{0.35 / 0.915:.3f}" in said and f"{0.15 / 0.915:.3f}" in said
    assert "n = 4 writings a violin" in said
    assert "FP32-trained LeNets keep far more here than the paper's 0.19" in said


def test_files_of_three_formats_with_fonts_inside(files, tmp_path):
    with opened(files[4:5]) as found:
        made, _ = publish(found, tmp_path / "new", 3.5, (".pdf", ".svg", ".png"), _Cost)
    pdf, svg, png = (path.read_bytes() for path in made["read-noise"])
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert b"<text" not in svg  # outlines: no font is needed
    assert png.startswith(b"\x89PNG")


class _Cost:
    """What `nn.cost` would count."""

    def __init__(self, network):
        assert network == "lenet"
        self.devices, self.tiles, self.operations, self.tile_operations = 6440, 6, 641, 707
        self.flops, self.joules = 272_640, 1.9e-6
        self.seconds = self.seconds_pipelined = self.seconds_copied = 0.46e-3


def test_the_cost_table_has_both_rows(files):
    with opened(files) as found:
        figure = cost_table(found, _Cost)
    (table,) = figure.axes[0].tables
    said = [cell.get_text().get_text() for cell in table.get_celld().values()]
    assert said.count("6,440") == 2
    assert {"here", "paper", "lenet"} <= set(said)
    assert "nothing was measured" in words(figure)


def test_what_a_run_lacks_is_skipped_with_a_word(files, tmp_path):
    with opened([files[4]]) as found:
        made, skipped = publish(found, tmp_path, 3.5, (".png",), _Cost)
    assert list(made) == ["read-noise"]
    assert skipped["transfer"] == "no study file of `cimlab transfer --study`"
    assert "cimlab program" in skipped["levels"]
    assert set(skipped) == {*FIGURES, "cost"} - {"read-noise"}


def test_what_is_no_material_is_refused(files, tmp_path):
    sweep = tmp_path / "iv.h5"
    with RunWriter.create(sweep, Header("sweep:iv", SPEC, {}, {}, {})):
        pass
    with pytest.raises(RecordError, match="cimlab report"), opened([sweep]):
        pass
    for text in ("", "{}\n", "no json\n", '{"study": "train"}\n', '{"study": "transfer"}\n{}\n'):
        file = tmp_path / "bad.jsonl"
        file.write_text(text, encoding="utf-8")
        with pytest.raises(RecordError, match="study"), opened([file]):
            pass
    with pytest.raises(RecordError, match="cannot read"), opened([tmp_path / "none.jsonl"]):
        pass


def test_a_measured_array_is_called_measured(tmp_path):
    from dataclasses import replace

    file = tmp_path / "real.h5"
    spec = replace(HEADER.spec, origin="measured", identity="a chip")
    with RunWriter.create(
        file, Header("train", spec, {}, {"mode": "mixed"}, {}, WEIGHTS), TEMPLATE
    ) as run:
        add_epoch(run, 1)
    with opened([file]) as found:
        for name in ("accuracy", "updates"):
            said = words(FIGURES[name](found, 3.5))
            assert "measured: a chip" in said
            assert "emulated" not in said
