"""Tables in files and classifiers: round trips to the bit, and one clear line for everything that is wrong."""

import re
from functools import cache

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kt_theory import teachers

RNG = np.random.default_rng(7)
PI = RNG.dirichlet(np.ones(4), 6)
RHO = RNG.dirichlet(np.ones(6))
LABELS = ("w", "x", "y, z", "é")
INPUTS = ("a", "01", "NA", "", 'q"uote', "line\nbreak")
FORMATS = ("csv", "parquet", "npz", "npy")


def frame(cells, rho=None, inputs=None):
    columns = dict(zip(LABELS, np.asarray(cells).T, strict=False))
    if inputs is not None:
        columns = {"input": inputs, **columns}
    if rho is not None:
        columns["rho"] = rho
    return pd.DataFrame(columns)


def write(folder, form, cells, rho=None, inputs=None, name="pi"):
    path = folder / f"table.{form}"
    if form == "csv":
        frame(cells, rho, inputs).to_csv(path, index=False)
    elif form == "parquet":
        frame(cells, rho, inputs).to_parquet(path)
    elif form == "npz":
        np.savez(path, **{name: cells}, **({} if rho is None else {"rho": rho}))
    else:
        np.save(path, cells)
    return path


def refused(path, message, **options):
    """Assert that the file is refused in one line that begins with its path, and that it was left alone."""
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(ValueError, match=message) as caught:
        teachers.from_table(path, **options)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) == 1
    assert before is None or path.read_bytes() == before


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("with_rho", [False, True])
def test_round_trip_of_probabilities(tmp_path, form, with_rho):
    rho = RHO if with_rho and form != "npy" else None
    path = write(tmp_path, form, PI, rho, None if form in ("npz", "npy") else INPUTS)
    for argument in (path, str(path)):
        teacher = teachers.from_table(argument)
        np.testing.assert_array_equal(teacher.pi, PI)
        np.testing.assert_array_equal(teacher.rho, np.full(6, 1 / 6) if rho is None else RHO)
        named = form in ("csv", "parquet")
        assert teacher.label_names == (LABELS if named else None)
        assert teacher.input_names == (INPUTS if named else None)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("form", FORMATS)
def test_round_trip_of_logits(tmp_path, form):
    logits = np.log(PI) + RNG.normal(size=(6, 1))
    logits[0, 1] = -np.inf
    rho = None if form == "npy" else RHO
    path = write(tmp_path, form, logits, rho, name="logits")
    teacher = teachers.from_table(path, kind=None if form == "npz" else "logits")
    expected = PI.copy()
    expected[0, 1] = 0.0
    np.testing.assert_allclose(
        teacher.pi, expected / expected.sum(axis=1, keepdims=True), rtol=1e-14
    )
    if rho is not None:
        np.testing.assert_array_equal(teacher.rho, RHO)


@pytest.mark.parametrize("form", FORMATS)
def test_logits_are_never_taken_for_probabilities_nor_guessed(tmp_path, form):
    for logits in (np.log(PI), np.log(PI) + 9.0):
        message = (
            r"entry \[0, 0\] = .* lies outside \[0, 1\]: looks like logits, pass kind='logits'"
        )
        if form != "npz":
            refused(write(tmp_path, form, logits), message)
        refused(write(tmp_path, form, logits), r"must be >= 0|must sum to 1", kind="probabilities")


@pytest.mark.parametrize("form", FORMATS)
def test_normalise_takes_counts(tmp_path, form):
    counts = np.arange(24).reshape(6, 4)
    rho = None if form == "npy" else np.arange(6)
    path = write(tmp_path, form, counts, rho)
    teacher = teachers.from_table(path, normalise=True)
    np.testing.assert_allclose(teacher.pi, counts / counts.sum(axis=1, keepdims=True), rtol=1e-15)
    if rho is not None:
        np.testing.assert_allclose(teacher.rho, rho / 15, rtol=1e-15)
    refused(path, "row 0 sums to 6" if form == "npz" else "looks like logits.*normalise=True")


@pytest.mark.parametrize("form", ["parquet", "npz", "npy"])
def test_float32_tables_are_renormalised(tmp_path, form):
    rows = RNG.dirichlet(np.ones(4), 6).astype(np.float32)
    teacher = teachers.from_table(write(tmp_path, form, rows, None if form == "npy" else RHO))
    np.testing.assert_allclose(teacher.pi, rows, rtol=1e-6)
    np.testing.assert_allclose(teacher.pi.sum(axis=1), 1.0, rtol=1e-15)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(rows=st.lists(st.lists(st.floats(0, 1e300), min_size=3, max_size=3), min_size=1, max_size=5))
def test_csv_keeps_every_bit(tmp_path_factory, rows):
    cells = np.array(rows) + 1e-300
    cells /= cells.sum(axis=1, keepdims=True)
    path = tmp_path_factory.mktemp("bits") / "t.csv"
    pd.DataFrame(cells, columns=list("abc")).to_csv(path, index=False)
    np.testing.assert_array_equal(teachers.from_table(path).pi, cells)


@pytest.mark.parametrize(
    "text",
    [
        "input,a,b\nu,0.5,0.5\nv,0,1\n",
        ",a,b\nu,0.5,0.5\nv,0,1\n",
        "\ufeffinput, a ,b\r\nu,0.5,0.5\r\n\r\nv,0,1",
        '"input","b","a"\n"u",0.5,0.5\n"v","1","0"\n',
        "a,b,input\n0.5,0.5,u\n0,1,v\n",
        "0,1,input\n0.5,0.5,u\n0,1,v\n",
    ],
)
def test_csv_dialects(tmp_path, text):
    (tmp_path / "t.CSV").write_bytes(text.encode())
    teacher = teachers.from_table(tmp_path / "t.CSV")
    assert teacher.input_names == ("u", "v")
    assert sorted(teacher.label_names) in (["a", "b"], ["0", "1"])
    assert teacher.pi[:, int(np.argmax(teacher.label_names))].tolist() == [0.5, 1.0]


def test_one_label_and_one_input(tmp_path):
    for form in FORMATS:
        assert teachers.from_table(write(tmp_path, form, np.ones((1, 1)))).pi.tolist() == [[1.0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n", "is empty"),
        ("rho,input\n1,a\n", "is empty: needs a first line"),
        ("a,b\n", "is empty: has column names but no rows"),
        ("a,b\n0.5,0.5\nx,1\n", "line 3, column 'a' = 'x' is not a number"),
        ("input,a,b\nu,0.5,0.5\nv,1,\n", "line 3, column 'b' is empty"),
        ("a.b\n0.5.0.5\n", "line 2, column 'a.b' = '0.5.0.5' is not a number"),
        ("a,b\n0.5,0.5\n1\n", "line 3 has 1 cells, the first line 2"),
        ("a,b\n0.5,0.5,0\n", "line 2 has 3 cells, the first line 2"),
        ("a,b,a\n0.5,0.5,0\n", "column 'a' occurs twice"),
        ("a,rho,rho\n1,0.5,0.5\n", "column 'rho' occurs twice"),
        ("a,,b\n1,0,0\n", "a column has no name"),
        ("0.25,0.75\n0.5,0.5\n", r"the first line holds numbers \(0.25, ...\)"),
        ("0.0,1.0\n0.5,0.5\n", "the first line holds numbers"),
        ('a,b\n0.5,"0.5\n', "line 2 is not CSV .*truncated"),
        ("a,b\n0.5,0.4\n", r"pi row 0 sums to 0.9: must sum to 1; normalise=True"),
        ("a,b\n0.5,nan\n", r"pi\[0, 1\] = nan: entries must be finite"),
        ("a,b\n0.5,inf\n", r"\[0, 1\] = inf lies outside"),
        ("a,b\n1.5,-0.5\n", r"\[0, 0\] = 1.5 lies outside \[0, 1\]: looks like logits"),
        ("a,b,rho\n1,0,0.5\n0,1,0.6\n", "rho sums to 1.1: must sum to 1"),
        ("a,b,rho\n1,0,1.5\n0,1,-0.5\n", r"rho\[1\] = -0.5"),
    ],
)
def test_bad_csv(tmp_path, text, message):
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    refused(path, message)


def test_csv_that_is_not_text(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n\xff\xfe,0.5\n")
    refused(path, "is not UTF-8 text")
    path.write_bytes(b"a,b\n0.5,0.5\x00\n")
    refused(path, "is not CSV|is not a number")


def test_bad_parquet(tmp_path):
    path = tmp_path / "t.parquet"
    cases = [
        (pa.table({"a": ["x", "y"], "b": [0.5, 0.5]}), "row 0, column 'a' = 'x' is not a number"),
        (
            pa.table({"a": ["0.5", "0.5"], "b": [0.5, 0.5]}),
            "row 0, column 'a' = '0.5' is not a number",
        ),
        (pa.table({"a": [1.0, None], "b": [0.0, 1.0]}), r"pi\[1, 0\] = nan"),
        (pa.table({"a": pa.array([[1.0], [0.0]]), "b": [0.0, 1.0]}), "row 0, column 'a'"),
        (pa.table([[0.5], [0.5]], names=["a", "a"]), "column 'a' occurs twice"),
        (pa.table({"a": pa.array([], pa.float64())}), "is empty: has column names but no rows"),
        (pa.table({"a": pa.array([], pa.string())}), "column 'a'"),
        (pa.table({"rho": [1.0]}), "is empty"),
        (pa.table({"a": [1.0, 1.0], "rho": [0.5, 0.4]}), "rho sums to 0.9"),
    ]
    for table, message in cases:
        pq.write_table(table, path)
        refused(path, message)


def test_parquet_index_names_the_inputs(tmp_path):
    pd.DataFrame({"a": [1.0, 0.0], "b": [0.0, 1.0]}, index=["u", "v"]).to_parquet(
        tmp_path / "t.parquet"
    )
    assert teachers.from_table(tmp_path / "t.parquet").input_names == ("u", "v")
    nullable = pd.DataFrame({"a": pd.array([1, 0], "Int64"), "b": pd.array([0, 1], "Int64")})
    nullable.to_parquet(tmp_path / "t.parquet")
    assert teachers.from_table(tmp_path / "t.parquet").pi.tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_bad_arrays(tmp_path):
    npy, npz = tmp_path / "t.npy", tmp_path / "t.npz"
    for array, message in [
        (np.array([["x", "y"]]), "pi: must be a table of real numbers; it holds text"),
        (np.ones(3), r"pi has shape \(3,\): must have 2 axes"),
        (np.ones((0, 3)), r"pi has shape \(0, 3\): must have at least one input"),
        (np.array([[0.5, np.nan]]), r"pi\[0, 1\] = nan"),
    ]:
        np.save(npy, array)
        refused(npy, message)
    np.save(npy, np.array([[0.5, None]], dtype=object), allow_pickle=True)
    refused(npy, "cannot be read.*allow_pickle=False")
    for arrays, message in [
        ({"a": PI}, "holds a: must hold one of the arrays pi and logits"),
        ({"pi": PI, "logits": PI}, "holds logits, pi: must hold one"),
        ({"pi": PI, "Rho": RHO}, "holds Rho, pi: .* no other"),
        ({"pi": PI, "rho": RHO[:5] / RHO[:5].sum()}, "rho has 5 entries: pi has 6 inputs"),
        ({"pi": PI, "rho": RHO * 2}, "rho sums to 2"),
    ]:
        np.savez(npz, **arrays)
        refused(npz, message)
    np.savez(npz, pi=np.array([[0.5, None]], dtype=object))
    refused(npz, "cannot be read.*allow_pickle=False")
    np.savez(npz, logits=PI)
    refused(
        npz,
        "holds logits by the name of its array: kind='probabilities' contradicts it",
        kind="probabilities",
    )


def test_bad_paths_and_options(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv: no such file"):
        teachers.from_table(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    refused(tmp_path / "folder.csv", "is not a regular file")
    (tmp_path / "t.xlsx").touch()
    refused(
        tmp_path / "t.xlsx",
        r"unknown suffix '\.xlsx': must be one of \.csv, \.tsv, \.npy, \.npz, \.parquet",
    )
    with pytest.raises(ValueError, match=r"unknown kind 'logit' .did you mean 'logits'"):
        teachers.from_table(tmp_path / "t.csv", kind="logit")
    with pytest.raises(ValueError, match="path = 3: must be a str or a Path"):
        teachers.from_table(3)


@pytest.mark.parametrize("form", ["npz", "npy", "parquet"])
def test_every_truncation_is_refused(tmp_path, form):
    path = write(tmp_path, form, PI, None if form == "npy" else RHO)
    whole = path.read_bytes()
    for size in sorted({0, 1, 4, len(whole) - 1, *range(0, len(whole), 37)}):
        path.write_bytes(whole[:size])
        refused(path, "cannot be read, is it damaged or truncated|cannot be read")


def test_a_truncated_csv_is_refused_where_rho_or_a_row_shows_it(tmp_path):
    path = write(tmp_path, "csv", PI, RHO)
    whole = path.read_bytes()
    for size in range(0, len(whole) - 20, 11):
        path.write_bytes(whole[:size])
        refused(path, ".")


@pytest.mark.parametrize("form", FORMATS)
@settings(deadline=None, derandomize=True, max_examples=60)
@given(data=st.data())
def test_damaged_files_never_raise_anything_but_one_line(tmp_path_factory, form, data):
    folder = tmp_path_factory.mktemp("damaged")
    path = write(folder, form, PI)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw)
    try:
        teacher = teachers.from_table(path)
    except ValueError:
        refused(path, ".")
    else:
        np.testing.assert_allclose(teacher.pi.sum(axis=1), 1.0, atol=1e-9)


def test_a_parquet_file_under_another_suffix(tmp_path):
    source = write(tmp_path, "parquet", PI)
    for suffix in (".npy", ".npz", ".csv"):
        path = tmp_path / f"wrong{suffix}"
        path.write_bytes(source.read_bytes())
        refused(path, "cannot be read|not UTF-8|not CSV|is empty|not a number|cells")


@cache
def digits():
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    X, y = load_digits(return_X_y=True)
    X = X / 16.0
    return LogisticRegression(max_iter=1000).fit(X[:600], y[:600]), X[600:700]


def test_logistic_regression():
    clf, X = digits()
    teacher = teachers.from_classifier(clf, X)
    z = X @ clf.coef_.T + clf.intercept_
    weights = np.exp(z - z.max(axis=1, keepdims=True))
    np.testing.assert_allclose(teacher.pi, weights / weights.sum(axis=1, keepdims=True), rtol=1e-10)
    assert teacher.label_names == tuple("0123456789")
    assert (teacher.rho == 1 / 100).all()


def test_names_rho_and_frames():
    from sklearn.datasets import load_iris
    from sklearn.tree import DecisionTreeClassifier

    iris = load_iris(as_frame=True)
    clf = DecisionTreeClassifier(random_state=0).fit(iris.data, iris.target_names[iris.target])
    rho = np.arange(1, 151) / (75 * 151)
    teacher = teachers.from_classifier(clf, iris.data, rho)
    assert teacher.label_names == ("setosa", "versicolor", "virginica")
    np.testing.assert_array_equal(teacher.rho, rho)
    assert set(np.unique(teacher.pi)) == {0.0, 1.0}


def test_float32_lists_and_sparse_inputs():
    import scipy.sparse as sp

    class Float32:
        def predict_proba(self, X):
            rows = X.shape[0] if hasattr(X, "shape") else len(X)
            return np.full((rows, 3), 1 / 3, dtype=np.float32)

    for X in ([[1], [2]], sp.csr_array((2, 5)), np.zeros((2, 4))):
        teacher = teachers.from_classifier(Float32(), X)
        np.testing.assert_allclose(teacher.pi, 1 / 3, rtol=1e-15)
        assert teacher.label_names is None


def test_bad_classifiers():
    from sklearn.exceptions import NotFittedError
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    clf, X = digits()
    with pytest.raises(ValueError, match="clf = LinearSVC: has no predict_proba"):
        teachers.from_classifier(LinearSVC(), X)
    with pytest.raises(NotFittedError):
        teachers.from_classifier(LogisticRegression(), X)
    with pytest.raises(ValueError, match="X = NoneType: must be a table"):
        teachers.from_classifier(clf, None)
    for empty in (X[:0], []):
        with pytest.raises(ValueError, match="X has no rows"):
            teachers.from_classifier(clf, empty)
    with pytest.raises(ValueError, match="rho has 3 entries: pi has 100 inputs"):
        teachers.from_classifier(clf, X, [0.2, 0.3, 0.5])


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (np.ones(2), r"returns shape \(2,\): must be \(2, labels\)"),
        (np.ones((3, 1)), r"returns shape \(3, 1\)"),
        ([np.ones((2, 1)), np.ones((2, 1))], "returns 2 tables"),
        (np.full((2, 2), 0.4), re.escape("pi row 0 sums to 0.8 (and 1 more rows)")),
        (np.full((2, 2), np.nan), r"pi\[0, 0\] = nan"),
        (np.full((2, 2), 0.5), "label_names has 3 entries: 2 are needed"),
    ],
)
def test_bad_output(output, message):
    class Broken:
        classes_ = (1, 2, 3)

        def predict_proba(self, X):
            return output

    with pytest.raises(ValueError, match=message):
        teachers.from_classifier(Broken(), [[0], [1]])


def written(folder, data, name="t.csv"):
    path = folder / name
    if isinstance(data, pa.Table):
        pq.write_table(data, path)
    else:
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
def test_what_parts_the_cells_is_recognised(delimiter, name, tmp_path):
    rows = [["input", '"y, z"', "é;|"], ['"a|b;c,d"', "0.25", "0.75"], ["u", "1", "0"]]
    if delimiter in (";", "|"):
        rows[0][2] = f'"{rows[0][2]}"'
    teacher = teachers.from_table(
        written(tmp_path, "\n".join(delimiter.join(row) for row in rows), name)
    )
    assert teacher.input_names == ("a|b;c,d", "u")
    assert teacher.label_names == ("y, z", "é;|")
    assert teacher.pi.tolist() == [[0.25, 0.75], [1.0, 0.0]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_first_line_of_excel_names_what_parts_the_cells(delimiter, tmp_path):
    rows = [["input", "a", "b"], ["q; r, s", "0.25", "0.75"], ["u", "1", "0"]]
    text = "\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in [*rows, ["u"]])
    teacher = teachers.from_table(
        written(tmp_path, f"sep={delimiter}\r\n" + text.rpartition("\n")[0])
    )
    assert (teacher.input_names, teacher.pi.tolist()) == (
        ("q; r, s", "u"),
        [[0.25, 0.75], [1.0, 0.0]],
    )
    with pytest.raises(ValueError, match="line 5"):
        teachers.from_table(written(tmp_path, f"sep={delimiter}\r\n" + text))


def test_decimal_commas_and_blank_first_lines(tmp_path):
    for text in ("a;b\n0,25;0,75\n", 'a,b\n"0,25","0,75"\n', "\n\na,b\n\n0.25,0.75\n"):
        assert teachers.from_table(written(tmp_path, text)).pi.tolist() == [[0.25, 0.75]]


INDEX = [
    ("id,a,b\n0,0.4,0.6\n1,0.5,0.5\n2,0.9,0.1\n", {}, ("0", "1", "2")),
    ("Index,a,b\n1,0.4,0.6\n2,0.5,0.5\n", {}, ("1", "2")),
    ("a,Unnamed: 0,b\n0.4,0,0.6\n0.5,1,0.5\n", {}, ("0", "1")),
    ("id,a,b\n17,0.4,0.6\n4,0.5,0.5\n", {}, ("17", "4")),
    ("id,a,b\n0,-1,2\n1,3,4\n", {"kind": "logits"}, ("0", "1")),
    ("id,a,b\n0,7,2\n1,3,4\n", {"normalise": True}, ("0", "1")),
]


@pytest.mark.parametrize(("text", "options", "names"), INDEX)
def test_an_index_column_names_the_inputs_and_a_warning_says_so(text, options, names, tmp_path):
    with pytest.warns(teachers.files.TableWarning, match="looks like an index"):
        teacher = teachers.from_table(written(tmp_path, text), **options)
    assert teacher.input_names == names
    assert teacher.label_names == ("a", "b")


def test_a_label_called_id_stays_a_label(tmp_path):
    for text in ("id,a\n0,1\n1,0\n", "id,a\n0.5,0.5\n0,1\n", "index\n1\n1\n"):
        assert teachers.from_table(written(tmp_path, text)).input_names is None


def test_texts_that_are_called_as_inputs_are_name_the_inputs(tmp_path):
    for data, name in (
        ("prompt,a,b\nx y,0.4,0.6\nz,0.5,0.5\n", "t.csv"),
        (pa.table({"a": [0.4, 0.5], "Question": ["x y", "z"], "b": [0.6, 0.5]}), "t.parquet"),
    ):
        with pytest.warns(
            teachers.files.TableWarning,
            match="holds texts: it is taken for the names of the inputs",
        ):
            assert teachers.from_table(written(tmp_path, data, name)).input_names == ("x y", "z")
    refused(
        written(tmp_path, "one,a\nx,1\n"),
        "column 'one' = 'x' is not a number; call the column 'input'",
    )


def test_other_encodings_are_named(tmp_path):
    refused(
        written(tmp_path, "é,b\n1,0\n".encode("cp1252")),
        r"seems to be Windows-1252 \(cp1252\), .* on line 1",
    )
    refused(
        written(tmp_path, "é,b\n1,0\n".encode("utf-16")), "seems to be UTF-16; save it as UTF-8"
    )


def test_types_of_input_names(tmp_path):
    import datetime

    for cells, name in (
        ([datetime.date(2024, 1, 2)], "2024-01-02"),
        ([datetime.datetime(2024, 1, 2)], "2024-01-02"),
        ([datetime.datetime(2024, 1, 2, 3, 4, 5)], "2024-01-02T03:04:05"),
        ([True], "true"),
        ([7], "7"),
    ):
        path = written(tmp_path, pa.table({"input": cells, "a": [1.0]}), "t.parquet")
        assert teachers.from_table(path).input_names == (name,)
    for cells, kind in (([b"x"], "binary"), ([["x"]], "nested"), ([{"a": 1}], "nested")):
        refused(
            written(tmp_path, pa.table({"input": cells, "a": [1.0]}), "t.parquet"),
            f"column 'input' is {kind}",
        )


def test_the_command_says_what_was_guessed(tmp_path):
    from click.testing import CliRunner

    from kt_theory.cli import main

    path = written(tmp_path, "id,a,b\n0,0.4,0.6\n1,0.5,0.5\n2,0.9,0.1\n")
    result = CliRunner().invoke(
        main, ["risk", str(path), "--n", "10", "--repeats", "20"], catch_exceptions=False
    )
    assert result.exit_code == 0
    assert "column 'id' looks like an index" in result.stderr
    assert "3 inputs, 2 labels" in result.stdout


def test_a_classifier_whose_rows_are_rounded_is_normalised():
    class Rounded:
        classes_ = ("a", "b")

        def predict_proba(self, X):
            return np.array([[0.5, 0.495]])

    with pytest.raises(ValueError, match="normalise=True divides by the sum"):
        teachers.from_classifier(Rounded(), [[0]])
    teacher = teachers.from_classifier(Rounded(), [[0]], normalise=True)
    np.testing.assert_allclose(teacher.pi, [[0.5 / 0.995, 0.495 / 0.995]])
