"""Cameras from photos alone, through COLMAP's structure from motion, and their scale.

COLMAP (Schoenberger and Frahm, CVPR 2016) runs on the CPU here. Cameras that are known are kept as
they are: then only sparse points are triangulated, for the choice of views and the depth range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError, needs_extra
from triscope.shape.formats import colmap
from triscope.shape.scale import scaled_by_board, scaled_by_cameras
from triscope.shape.scene import Scene, Sparse, View

Floats = NDArray[np.float64]
LEAST_SHARE = 0.5  # of the photos that must find their place


@dataclass(frozen=True)
class Photos:
    """What is known of photos without cameras: the lens, and one length for the scale."""

    K: Sequence[float] | None = None  # fx, fy, cx, cy of all photos, kept as they are
    board: tuple[int, int, float] | None = None  # inner corners (columns, rows), side in mm
    distance: tuple[str, str, float] | None = None  # two photos and how many mm they are apart
    features: int = 8192  # most features of a photo
    threads: int = 1  # of COLMAP


def of_photos(photos: str | Path, work: str | Path, known: Photos = Photos()) -> Scene:
    """Cameras of the photos of a folder, in millimetres where a scale is given."""
    stems = {path.stem for path in Path(photos).iterdir()}
    lost = [name for name in (known.distance or ())[:2] if name not in stems]
    if lost:
        raise DataError(f"{photos} has no photo {lost[0]}: a distance is between two photos of it.")
    scene = find_cameras(photos, work, K=known.K, features=known.features, threads=known.threads)
    return scaled_as_known(scene, known)


def scaled_as_known(scene: Scene, known: Photos) -> Scene:
    """The scene in millimetres by the board or the distance; as it is where neither is known."""
    if known.board:
        columns, rows, square = known.board
        return scaled_by_board(scene, (int(columns), int(rows)), square)
    if known.distance:
        one, two, length = known.distance
        return scaled_by_cameras(scene, one, two, float(length))
    return scene


def find_cameras(
    photos: str | Path,
    work: str | Path,
    *,
    K: Sequence[float] | None = None,
    features: int = 8192,
    threads: int = 1,
) -> Scene:
    """Cameras and sparse points of the photos of a folder; the scale is free (unit unknown).

    ``K`` are fx, fy, cx, cy (pixel centres at integers) of all photos, kept as they are; without it
    one camera with radial distortion is estimated and the photos are undistorted. Raises DataError
    where the photos do not hold together.
    """
    pycolmap = _pycolmap()
    photos, work = Path(photos), Path(work)
    work.mkdir(parents=True, exist_ok=True)
    names = sorted(p.name for p in photos.iterdir() if p.suffix.lower() in SUFFIXES)
    if len(names) < 3:
        raise DataError(
            f"{photos} has {len(names)} photos: cameras are found from 3 or more. With two views, "
            "give their cameras (a rig file)."
        )
    reader = pycolmap.ImageReaderOptions()
    reader.camera_model = "SIMPLE_RADIAL"
    if K is not None:
        reader.camera_model = "PINHOLE"
        reader.camera_params = f"{K[0]},{K[1]},{K[2] + 0.5},{K[3] + 0.5}"
    database = _matched(work, photos, names, reader, features, threads, single=True)
    options = pycolmap.IncrementalPipelineOptions()
    options.num_threads = threads
    if K is not None:
        options.ba_refine_focal_length = options.ba_refine_extra_params = False
    (work / "sparse").mkdir(exist_ok=True)
    models = pycolmap.incremental_mapping(database, photos, work / "sparse", options)
    best = max(models.values(), key=lambda m: m.num_reg_images(), default=None)
    found = best.num_reg_images() if best is not None else 0
    if best is None or found < max(3, LEAST_SHARE * len(names)):
        raise DataError(
            f"only {found} of {len(names)} photos find their place among the others: take them "
            "closer together (10 to 15 degrees), with more texture, or use a calibrated rig."
        )
    (work / "model").mkdir(exist_ok=True)
    best.write_binary(work / "model")
    pycolmap.undistort_images(work / "undistorted", work / "model", photos)
    scene = colmap.read_scene(work / "undistorted" / "sparse", work / "undistorted" / "images")
    lost = sorted(set(names) - {str(image.name) for image in best.images.values()})
    problems = (f"photos without a place: {', '.join(lost)}",) if lost else ()
    return scene.with_(problems=problems, layout="photos")


def triangulated(
    scene: Scene, work: str | Path, *, features: int = 8192, threads: int = 1
) -> Scene:
    """The scene with sparse points seen by its cameras, which stay exactly as they are."""
    pycolmap = _pycolmap()
    work = Path(work)
    photos = work / "photos"
    photos.mkdir(parents=True, exist_ok=True)
    for view in scene.views:
        place = str(photos / f"{view.name}.png")
        cv2.imwrite(place, cv2.cvtColor(view.read(), cv2.COLOR_RGB2BGR))
    named = {f"{view.name}.png": view for view in scene.views}
    reader = pycolmap.ImageReaderOptions()
    reader.camera_model = "PINHOLE"
    database = _matched(work, photos, sorted(named), reader, features, threads, single=False)
    model = _known_model(pycolmap, database, named)
    for part in ("known", "points"):
        (work / part).mkdir(exist_ok=True)
    colmap.write_model(work / "known", model)
    start = pycolmap.Reconstruction(work / "known")
    done = pycolmap.triangulate_points(start, database, photos, work / "points")
    done.write_binary(work / "points")
    found = colmap.read_model(work / "points")
    places = {number: i for i, number in enumerate(found.points)}
    seen = {
        image.name: np.array(sorted({places[i] for i in image.point_ids.tolist() if i in places}),
                             np.int64)
        for image in found.images.values()
    }  # fmt: skip
    xyz = np.array([point.xyz for point in found.points.values()]).reshape(-1, 3)
    none = np.zeros(0, np.int64)
    index = tuple(seen.get(f"{view.name}.png", none) for view in scene.views)
    return scene.with_(sparse=Sparse(xyz, index))


SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp"}


def _pycolmap() -> Any:
    try:
        import pycolmap
    except ImportError as error:
        raise needs_extra("finding cameras", "shape", "pycolmap") from error
    pycolmap.logging.minloglevel = 2
    return pycolmap


def _matched(
    work: Path,
    photos: Path,
    names: list[str],
    reader: Any,
    features: int,
    threads: int,
    *,
    single: bool,
) -> Path:
    """Features and matches of all pairs; an earlier database of this folder goes on."""
    pycolmap = _pycolmap()
    database = work / "database.db"
    extraction = pycolmap.FeatureExtractionOptions()
    extraction.sift.max_num_features = features
    extraction.num_threads = threads
    extraction.use_gpu = False
    mode = pycolmap.CameraMode.SINGLE if single else pycolmap.CameraMode.PER_IMAGE
    pycolmap.extract_features(
        database, photos, names, camera_mode=mode, reader_options=reader,
        extraction_options=extraction, device=pycolmap.Device.cpu,
    )  # fmt: skip
    matching = pycolmap.FeatureMatchingOptions()
    matching.num_threads = threads
    matching.use_gpu = False
    pycolmap.match_exhaustive(database, matching_options=matching, device=pycolmap.Device.cpu)
    return database


def _known_model(pycolmap: Any, database: Path, named: dict[str, View]) -> colmap.Model:
    """The known cameras under the numbers that the database has for them."""
    model = colmap.Model()
    with pycolmap.Database.open(database) as opened:
        rows = [(im.name, im.image_id, im.camera_id) for im in opened.read_all_images()]
        keypoints = {number: opened.read_keypoints(number) for _, number, _ in rows}
    for name, number, camera in rows:
        view = named[name]
        K, (h, w) = view.K, view.size
        params = (K[0, 0], K[1, 1], K[0, 2] + 0.5, K[1, 2] + 0.5)
        model.cameras[camera] = colmap.Camera("PINHOLE", w, h, tuple(map(float, params)))
        xy = np.asarray(keypoints[number], np.float64)[:, :2]
        model.images[number] = colmap.Image(
            name, camera, colmap.quaternion(view.cam_T_world[:3, :3]),
            tuple(map(float, view.cam_T_world[:3, 3])), xy, np.full(len(xy), -1, np.int64),
        )  # fmt: skip
    return model
