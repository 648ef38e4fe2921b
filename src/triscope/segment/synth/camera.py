"""What a camera makes of a scene: light that falls off, blur, contrast, noise, compression."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.segment.synth import fields

Floats = NDArray[np.float32]


def photographed(rng: np.random.Generator, image: Floats) -> NDArray[np.uint8]:
    """A painted image float32 (h, w, 3) as a camera would have taken it, uint8."""
    image = _light(rng, image)
    if rng.random() < 0.6:
        sigma = float(rng.uniform(0.3, 1.2)) * max(image.shape) / 256
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)
    image = _response(rng, image)
    image = image + _noise(rng, image)
    out = np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        out = np.repeat(cv2.cvtColor(out, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)
    return _compressed(rng, out) if rng.random() < 0.5 else out


def _light(rng: np.random.Generator, image: Floats) -> Floats:
    """Uneven light: to one side, in patches, or both."""
    hw = (image.shape[0], image.shape[1])
    fall = float(rng.uniform(0, 0.7)) * fields.gradient(rng, hw)
    if rng.random() < 0.4:
        fall = fall + float(rng.uniform(0, 0.4)) * fields.clouds(rng, hw, 3)
    return np.asarray(image * (1.15 - fall)[:, :, None], np.float32)


def _response(rng: np.random.Generator, image: Floats) -> Floats:
    """Gain of each colour, gamma, and how much of the range is used."""
    gain = rng.uniform(0.85, 1.15, 3) if rng.random() < 0.5 else np.ones(3)
    bent = np.clip(image * gain, 0, 1) ** float(rng.uniform(0.7, 1.5))
    low, span = rng.uniform(0, 0.2), rng.uniform(0.5, 1)
    if rng.random() < 0.5:
        low, span = 0.0, 1.0
    return np.asarray(low + span * (1 - low) * bent, np.float32)


def _noise(rng: np.random.Generator, image: Floats) -> Floats:
    strength = float(rng.choice([0.0, 0.01, 0.03])) * float(rng.random())
    if not strength:
        return np.zeros((1, 1, 1), np.float32)
    noise = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(strength)
    return np.asarray(noise * (0.5 + np.sqrt(np.clip(image, 0, 1))), np.float32)


def _compressed(rng: np.random.Generator, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 96))]
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(image[:, :, ::-1]), quality)
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(decoded[:, :, ::-1])
