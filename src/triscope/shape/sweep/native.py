"""The sweep in C++ (``sweep.cpp``), called through ctypes."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from ctypes import POINTER, c_double, c_float, c_int32
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadSettings, TriscopeError
from triscope.shape.sweep.answer import Swept
from triscope.shape.sweep.build import library
from triscope.shape.sweep.run import array_of, weights_of
from triscope.shape.warp import Warp

__all__ = ["fits", "library", "native_sweep"]

# Shapes of the released network, the only one that the compiled form knows.
SHAPES = {
    "gru1.gate_conv.weight": (32, 48, 3, 3),
    "gru2.gate_conv.weight": (8, 20, 3, 3),
    "gru3.gate_conv.weight": (4, 6, 3, 3),
    "prob_conv.weight": (1, 2, 3, 3),
}
# In the order of the structure in sweep.cpp: three cells each.
PARTS = (
    ("gate_conv", "weight"),
    ("gate_conv", "bias"),
    ("reset_gate_norm", "weight"),
    ("reset_gate_norm", "bias"),
    ("update_gate_norm", "weight"),
    ("update_gate_norm", "bias"),
    ("output_conv", "weight"),
    ("output_conv", "bias"),
    ("output_norm", "weight"),
    ("output_norm", "bias"),
)
_Floats, _Doubles, _Whole = POINTER(c_float), POINTER(c_double), POINTER(c_int32)


class _Problem(ctypes.Structure):
    _fields_ = (
        *((name, c_int32) for name in ("views", "height", "width", "planes", "threads", "bf16")),
        ("features", _Floats),
        ("turn", _Doubles),
        ("shift", _Doubles),
        ("depths", _Doubles),
        *((f"{part}_{kind}", _Floats * 3) for part, kind in PARTS),
        ("prob", _Floats),
        ("prob_bias", _Floats),
        ("index", _Whole),
        ("probability", _Floats),
        ("around", _Floats),
    )


def fits(weights: Mapping[str, NDArray[np.float32]]) -> bool:
    """Whether these are the shapes of the released network."""
    shapes = {name: weights[name].shape for name in SHAPES if name in weights}
    return shapes == SHAPES and "map_conv.weight" not in weights


def native_sweep(
    features: Any,
    warp: Warp,
    depths: NDArray[np.float64],
    network: Any,
    threads: int = 1,
    precision: Literal["fp32", "bf16"] = "fp32",
) -> Swept:
    """See :func:`triscope.shape.sweep.sweep`; raises BadSettings where it cannot be had."""
    core, weights = library(), weights_of(network)
    if core is None:
        raise BadSettings(
            "form='native': the compiled sweep could not be built here (no C++ compiler?). "
            "Use form='auto', or install g++ or clang++."
        )
    if not fits(weights):
        raise BadSettings(
            "form='native': only the released network (32 channels, states 16, 4, 2) is compiled. "
            "Use form='auto'."
        )
    if threads < 1:
        raise BadSettings(f"threads={threads}: expected 1 or more.")
    # Channels last; the copy is the only one that is made of the features.
    maps = np.ascontiguousarray(array_of(features).transpose(0, 2, 3, 1))
    n, h, w, _ = maps.shape
    index, probability = np.zeros((h, w), np.int32), np.zeros((h, w), np.float32)
    around = np.zeros((3, h, w), np.float32)
    turn, shift = np.ascontiguousarray(warp.turn), np.ascontiguousarray(warp.shift)
    problem = _Problem(
        views=n,
        height=h,
        width=w,
        planes=len(depths),
        threads=min(threads, h),
        bf16=precision == "bf16",
        features=_floats(maps),
        turn=turn.ctypes.data_as(_Doubles),
        shift=shift.ctypes.data_as(_Doubles),
        depths=depths.ctypes.data_as(_Doubles),
        prob=_floats(weights["prob_conv.weight"]),
        prob_bias=_floats(weights["prob_conv.bias"]),
        index=index.ctypes.data_as(_Whole),
        probability=_floats(probability),
        around=_floats(around),
    )
    for part, kind in PARTS:
        three = [weights[f"gru{i}.{part}.{kind}"] for i in (1, 2, 3)]
        setattr(problem, f"{part}_{kind}", (_Floats * 3)(*map(_floats, three)))
    code = core.triscope_sweep(ctypes.byref(problem))
    if code == 2:
        raise BadSettings("precision='bf16': this processor has no AVX-512 BF16. Use 'fp32'.")
    if code:
        raise TriscopeError(f"not enough memory for a sweep over maps of {h} x {w}.")
    return Swept(index, probability, around)


def has_bf16() -> bool:
    """Whether the compiled form of this machine computes in bf16."""
    core = library()
    return core is not None and bool(core.triscope_has_bf16())


def _floats(array: NDArray[np.float32]) -> Any:
    return array.ctypes.data_as(_Floats)
