"""Dumps of whole rows in arrays: NPY, NPZ, HDF5 and safetensors, each written here byte by byte or
by the library of the format, and held against the truth.
"""

import json
import pickle

import numpy as np
import pytest

from kt_theory import Dump
from kt_theory.dumps.block import NO_LABEL

LABELS, TEXTS, LONGEST = 40, 7, 31


class Truth:
    """One run of texts drawn from a teacher: row i is of token i + 1 of its text."""

    def __init__(self):
        random = np.random.default_rng(5)
        self.logits = random.normal(size=(TEXTS, LONGEST, LABELS)) * 2.5 + 3.0
        top = self.logits.max(axis=-1, keepdims=True)
        self.logs = self.logits - top - np.log(np.exp(self.logits - top).sum(-1, keepdims=True))
        self.ids = np.zeros((TEXTS, LONGEST), dtype=np.int64)
        for text, rows in zip(self.ids, self.logs, strict=True):
            text[0] = random.integers(LABELS)
            for i, row in enumerate(rows[:-1]):
                text[i + 1] = random.choice(LABELS, p=np.exp(row))

    @property
    def one_run(self):
        return {
            "logits": self.logits.reshape(-1, LABELS),
            "tokens": self.ids.reshape(-1),
            "offsets": np.arange(0, TEXTS * LONGEST + 1, LONGEST),
        }

    @property
    def by_text(self):
        return {"logits": self.logits, "input_ids": self.ids}


@pytest.fixture(scope="module")
def truth():
    return Truth()


def write_npz(path, arrays):
    np.savez(path, **arrays)


def write_compressed(path, arrays):
    np.savez_compressed(path, **arrays)


def write_hdf5(path, arrays):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            chunks = (5, *array.shape[1:]) if array.ndim > 1 else None
            file.create_dataset(name, data=array, chunks=chunks)


TYPES = {"float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32"}


def write_safetensors(path, arrays, brain=()):
    """The format as its page describes it: header length, header, tensors."""
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, array in arrays.items():
        kind, data = TYPES[array.dtype.name], np.ascontiguousarray(array).tobytes()
        if name in brain:
            kind = "BF16"
            data = (array.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
        place = [len(body), len(body) + len(data)]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": place}
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


WRITERS = {
    "dump.npz": write_npz,
    "packed.npz": write_compressed,
    "dump.h5": write_hdf5,
    "dump.safetensors": write_safetensors,
}


def joined(dump, name):
    return np.concatenate([getattr(block, name) for block in dump.blocks()])


def holds_the_truth(dump, truth, places=None, tolerance=1e-12):
    """Hold every field of the blocks against the rows of the truth at `places`, (text, row)."""
    if places is None:
        places = [(j, i) for j in range(TEXTS) for i in range(LONGEST)]
    rows, ids = tuple(np.array(places).T), truth.ids
    assert dump.whole
    assert dump.labels == LABELS
    assert dump.positions == len(places)
    np.testing.assert_allclose(joined(dump, "logprobs"), truth.logs[rows], rtol=0.0, atol=tolerance)
    following = [ids[j, i + 1] if i + 1 < LONGEST else NO_LABEL for j, i in places]
    np.testing.assert_array_equal(joined(dump, "following"), following)
    stated = [
        truth.logs[j, i, token] if token != NO_LABEL else np.nan
        for (j, i), token in zip(places, following, strict=True)
    ]
    np.testing.assert_allclose(joined(dump, "following_logprob"), stated, rtol=0.0, atol=tolerance)
    digests, before = joined(dump, "contexts").tolist(), [tuple(ids[j, : i + 1]) for j, i in places]
    assert len(set(before)) == len(set(digests)) == len(set(zip(before, digests, strict=True)))


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("shape", ["one_run", "by_text"])
def test_logits_with_their_texts(truth, tmp_path, name, shape, monkeypatch):
    WRITERS[name](tmp_path / name, getattr(truth, shape))
    dump = Dump.read(tmp_path / name)
    holds_the_truth(dump, truth)
    monkeypatch.setattr("kt_theory.dumps.layouts.arrays.CELLS", 17 * LABELS)
    assert len(list(dump.blocks())) > 10
    holds_the_truth(pickle.loads(pickle.dumps(dump)), truth)
    rest = [block.following for block in dump.blocks(100)]
    np.testing.assert_array_equal(np.concatenate(rest), joined(dump, "following")[100:])


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float32", 2e-6), ("float16", 8e-3), (">f8", 1e-12), ("brain", 0.07)]
)
def test_narrow_types_are_widened(truth, tmp_path, dtype, tolerance):
    brain = ("logits",) if dtype == "brain" else ()
    stored = truth.logits.astype("float32" if brain else dtype)
    arrays = {**truth.by_text, "logits": stored}
    path = tmp_path / "dump.npz"
    if dtype != ">f8":
        path = tmp_path / "dump.safetensors"
        write_safetensors(path, arrays, brain)
    else:
        write_npz(path, arrays)
    holds_the_truth(Dump.read(path), truth, tolerance=tolerance)


def test_bfloat16_is_the_upper_half_of_float32(truth, tmp_path):
    path = tmp_path / "dump.safetensors"
    write_safetensors(path, {"logits": truth.logits[0].astype("float32")}, brain=("logits",))
    bits = truth.logits[0].astype("<f4").view("<u4") & 0xFFFF0000
    exact = bits.view("<f4").astype(np.float64)
    logs = exact - np.log(np.exp(exact).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(joined(Dump.read(path), "logprobs"), logs, rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("stored", ["logits", "logprobs", "probabilities", "log2"])
def test_an_array_without_a_name_is_read_as_what_its_rows_are(truth, tmp_path, stored):
    values = {
        "logits": truth.logits,
        "logprobs": truth.logs,
        "probabilities": np.exp(truth.logs),
        "log2": truth.logs / np.log(2),
    }[stored]
    np.save(tmp_path / "dump.npy", values.reshape(-1, LABELS))
    dump = Dump.read(tmp_path / "dump.npy")
    assert dump.parts[0].kind == stored
    np.testing.assert_allclose(
        joined(dump, "logprobs"), truth.logs.reshape(-1, LABELS), rtol=0.0, atol=1e-11
    )
    assert next(dump.blocks()).contexts is None


def test_prompts_and_what_texts_are_filled_up_with_are_skipped_and_counted(truth, tmp_path):
    """Row i of a text is skipped where the token i + 1 is masked, or where token i is filling: on
    the left of texts here, of NaN rows.
    """
    fill, prompt = [j % 3 for j in range(TEXTS)], 4
    logits, ids = np.full_like(truth.logits, np.nan), np.zeros_like(truth.ids)
    attention, labels = np.zeros_like(ids), np.full_like(ids, -100)
    for j, cut in enumerate(fill):
        size = LONGEST - cut
        logits[j, cut:], ids[j, cut:] = truth.logits[j, :size], truth.ids[j, :size]
        attention[j, cut:], labels[j, cut + prompt :] = 1, truth.ids[j, prompt:size]
    arrays = {"logits": logits, "input_ids": ids, "attention_mask": attention, "labels": labels}
    write_npz(tmp_path / "dump.npz", arrays)
    dump = Dump.read(tmp_path / "dump.npz")
    (block,) = dump.blocks()
    places = [(j, i) for j, cut in enumerate(fill) for i in range(prompt - 1, LONGEST - cut)]
    rows = tuple(np.array(places).T)
    np.testing.assert_allclose(block.logprobs, truth.logs[rows], rtol=0.0, atol=1e-12)
    wanted = [truth.ids[j, i + 1] if i + 1 < LONGEST - fill[j] else NO_LABEL for j, i in places]
    np.testing.assert_array_equal(block.following, wanted)
    assert block.skipped == {"filled up": sum(fill), "masked": TEXTS * (prompt - 1)}
    before = [tuple(truth.ids[j, : i + 1]) for j, i in places]
    digests = block.contexts.tolist()
    assert len(set(before)) == len(set(digests)) == len(set(zip(before, digests, strict=True)))


@pytest.mark.parametrize("name", WRITERS)
def test_rows_of_their_own_tokens_are_refused_unless_they_are_said_to_be(truth, tmp_path, name):
    """Of 150 rows at least, the token before the one that they are taken for is the likelier."""
    shifted = np.concatenate([truth.logits[:, :1], truth.logits[:, :-1]], axis=1)
    WRITERS[name](tmp_path / name, {"logits": shifted, "input_ids": truth.ids})
    with pytest.raises(ValueError, match=r"the token before .* aligned='same' reads them so"):
        Dump.read(tmp_path / name)
    right = Dump.read(tmp_path / name, aligned="same")
    (block,) = right.blocks()
    np.testing.assert_array_equal(block.following, truth.ids.reshape(-1))
    wrong = Dump.read(tmp_path / name, aligned="next")
    assert joined(wrong, "following")[0] == truth.ids[0, 1]


WRONG = {
    "no rows": ({"logits": None}, "no layout of a dump"),
    "one axis": ({"logits": np.zeros(5)}, r"logits has the shape \(5,\): must be"),
    "tokens": ({"tokens": np.zeros(5, int)}, r"tokens has the shape \(5,\), the rows \(217,\)"),
    "text": ({"tokens": np.zeros(217)}, "tokens is of the type float64: must be whole numbers"),
    "offsets": ({"offsets": np.array([0, 9])}, "offsets go from 0 to 9: must ascend from 0 to 217"),
    "token": (
        {"tokens": np.full(217, 40)},
        "row 1 is followed by the token 40, not within 0 to 39",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_arrays_that_do_not_fit_are_named(truth, tmp_path, name):
    change, message = WRONG[name]
    arrays = {key: array for key, array in {**truth.one_run, **change}.items() if array is not None}
    write_npz(tmp_path / "dump.npz", arrays)
    with pytest.raises(ValueError, match=rf"dump\.npz.*{message}") as error:
        list(Dump.read(tmp_path / "dump.npz").blocks())
    assert "\n" not in str(error.value)


def test_a_row_with_nan_is_named(truth, tmp_path):
    logits = truth.logits.reshape(-1, LABELS).copy()
    logits[100, 7] = np.nan
    write_npz(tmp_path / "dump.npz", {"logits": logits})
    with pytest.raises(ValueError, match="row 101 has the value nan"):
        list(Dump.read(tmp_path / "dump.npz").blocks())


@pytest.mark.parametrize("name", [*WRITERS, "dump.npy"])
def test_files_that_are_cut_off_are_named(truth, tmp_path, name):
    path = tmp_path / name
    if name == "dump.npy":
        np.save(path, truth.logits)
    else:
        WRITERS[name](path, truth.by_text)
    whole = path.read_bytes()
    for size in (3, 60, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"cut off|holds no NPY array") as error:
            list(Dump.read(path).blocks())
        assert name in str(error.value)
        assert "\n" not in str(error.value)


def test_an_array_column_by_column_is_refused(truth, tmp_path):
    np.save(tmp_path / "dump.npy", np.asfortranarray(truth.logits[0]))
    with pytest.raises(ValueError, match=r"column by column: save numpy.ascontiguousarray"):
        Dump.read(tmp_path / "dump.npy")


def test_arrays_of_other_names_are_left_alone(truth, tmp_path):
    others = {"model": np.array("a teacher"), "scale": np.asfortranarray(np.ones((2, 3)))}
    write_npz(tmp_path / "dump.npz", {**truth.by_text, **others})
    holds_the_truth(Dump.read(tmp_path / "dump.npz"), truth)


def test_a_tensor_of_another_type_is_refused(tmp_path):
    header = b'{"logits": {"dtype": "F8_E4M3", "shape": [1, 2], "data_offsets": [0, 2]}}'
    path = tmp_path / "dump.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"ab")
    with pytest.raises(ValueError, match="logits is of the type 'F8_E4M3': must be one of F64"):
        Dump.read(path)


def test_a_dump_is_shown_by_its_sizes():
    rows = np.full((3, 4), 0.25)
    assert repr(Dump.from_arrays(rows, kind="probabilities")) == (
        "Dump(1 part, 3 positions, 4 labels, whole rows)"
    )
