"""Small data sets written to disk for the tests of readers."""

import cv2
import numpy as np

RNG = np.random.default_rng(11)


def image_of(h=20, w=30, seed=None, channels=3):
    rng = RNG if seed is None else np.random.default_rng(seed)
    shape = (h, w, channels) if channels > 1 else (h, w)
    return rng.integers(0, 256, shape, dtype=np.uint8)


def put(path, image=None):
    """Write an image (RGB) or a text, with its folders; answers the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(image, str):
        path.write_text(image)
        return path
    image = image_of() if image is None else image
    picture = image[..., ::-1] if image.ndim == 3 else image
    path.write_bytes(cv2.imencode(path.suffix, picture)[1].tobytes())
    return path


def spot(h=20, w=30, rows=slice(5, 9), columns=slice(10, 16)):
    mask = np.zeros((h, w), np.uint8)
    mask[rows, columns] = 255
    return mask


def mvtec(root, good=4, bad=2):
    for i in range(good):
        put(root / f"train/good/{i:03}.png")
    put(root / "test/good/000.png")
    for i in range(bad):
        put(root / f"test/scratch/{i:03}.png")
        put(root / f"ground_truth/scratch/{i:03}_mask.png", spot())
    return root


def voc_object(name, box, difficult=0):
    corners = "".join(
        f"<{key}>{value}</{key}>"
        for key, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    return (
        f"<object><name>{name}</name><difficult>{difficult}</difficult>"
        f"<bndbox>{corners}</bndbox></object>"
    )


def voc_xml(filename, *objects):
    return f"<annotation><filename>{filename}</filename>{''.join(objects)}</annotation>"
