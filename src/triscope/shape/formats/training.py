"""Scenes with true depth to train on: DTU's training layout, BlendedMVS, and all other scenes.

DTU (as MVSNet prepared it) keeps photos of 640 x 512 in ``Rectified/scanN_train``, cameras whose K
belongs to 160 x 128 in ``Cameras/train``, depth of that size in millimetres in ``Depths``; photos
count from 1, cameras from 0. BlendedMVS keeps ``blended_images``, ``cams`` and
``rendered_depth_maps`` a scan.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from triscope.errors import DataError, EmptyData
from triscope.kernel.geometry.cameras import resize_K
from triscope.shape.formats.mvsnet import Camera, read_cam, read_pairs, renumbered
from triscope.shape.formats.opening import is_scene, open_scene
from triscope.shape.scene import Range, Scene, View, image_beside, size_of
from triscope.shape.warp import from_half_centres

DTU_CAMERA_SIZE = (128, 160)  # h, w that K of Cameras/train belongs to
LIGHT = 3  # of the seven of DTU: the diffuse one


def training_scenes(source: str | Path) -> list[Scene]:
    """All scenes with true depth under a folder; raises EmptyData where there is none."""
    folder = Path(source)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: training reads folders of scenes with depth.")
    if (folder / "Rectified").is_dir():
        scans = sorted((folder / "Rectified").glob("scan*_train"))
        found = [read_dtu(folder, scan.name.removesuffix("_train")) for scan in scans]
    else:
        places = [folder, *(path for path in sorted(folder.rglob("*")) if path.is_dir())]
        found = [scene for place in places if (scene := _scene(place)) is not None]
    found = [scene for scene in found if any(view.depth is not None for view in scene.views)]
    if not found:
        raise EmptyData(
            f"{folder} holds no scene with true depth: looked for Rectified/ (DTU), "
            "blended_images/ (BlendedMVS), depths/*.pfm beside cams/, depth/*.png beside poses.txt."
        )
    return found


def _scene(folder: Path) -> Scene | None:
    if (folder / "blended_images").is_dir():
        return read_blended(folder)
    return open_scene(folder, "interval") if is_scene(folder) else None


def read_blended(folder: str | Path) -> Scene:
    """One scan of BlendedMVS; its unit is not known."""
    folder = Path(folder)
    cams = sorted((folder / "cams").glob("*_cam.txt"))
    views: list[View] = []
    ranges: dict[int, Range] = {}
    places: dict[int, int] = {}
    for i, path in enumerate(cams):
        stem, camera = path.name.removesuffix("_cam.txt"), read_cam(path)
        image = image_beside(folder / "blended_images", stem)
        depth = folder / "rendered_depth_maps" / f"{stem}.pfm"
        K = from_half_centres(camera.K)
        truth = depth if depth.is_file() else None
        views.append(View(stem, image, K, camera.cam_T_world, size_of(image), truth))
        places[int(stem)] = i
        _note_range(ranges, i, camera)
    return _with_pairs(folder / "cams" / "pair.txt", views, ranges, places, "blended", "")


def read_dtu(folder: str | Path, scan: str, light: int = LIGHT) -> Scene:
    """One scan (``scan1``) of DTU's training layout under one of its lights, in millimetres."""
    folder = Path(folder)
    photos = folder / "Rectified" / f"{scan}_train"
    views: list[View] = []
    ranges: dict[int, Range] = {}
    places: dict[int, int] = {}
    for path in sorted((folder / "Cameras" / "train").glob("*_cam.txt")):
        number, camera = int(path.name.removesuffix("_cam.txt")), read_cam(path, "interval")
        image = photos / f"rect_{number + 1:03d}_{light}_r5000.png"
        if not image.is_file():
            continue
        size = size_of(image)
        K = resize_K(from_half_centres(camera.K), DTU_CAMERA_SIZE, size)
        depth = folder / "Depths" / f"{scan}_train" / f"depth_map_{number:04d}.pfm"
        truth = depth if depth.is_file() else None
        places[number] = len(views)
        _note_range(ranges, len(views), camera)
        views.append(View(f"{number:08d}", image, K, camera.cam_T_world, size, truth))
    if not views:
        raise DataError(
            f"{photos} has no photo rect_NNN_{light}_r5000.png that a camera of "
            f"{folder / 'Cameras' / 'train'} belongs to."
        )
    return _with_pairs(folder / "Cameras" / "pair.txt", views, ranges, places, "dtu", "mm")


def _note_range(ranges: dict[int, Range], number: int, camera: Camera) -> None:
    if (found := camera.range(192)) is not None:
        ranges[number] = found


def _with_pairs(
    path: Path,
    views: list[View],
    ranges: dict[int, Range],
    places: Mapping[int, int],
    layout: str,
    unit: str,
) -> Scene:
    """The scene with the sources of ``pair.txt`` that are there."""
    pairs = {
        reference: tuple((i, score) for i, score in sources if i in places)
        for reference, sources in read_pairs(path).items()
        if reference in places
    }
    sources = renumbered(pairs, places, path)
    return Scene(tuple(views), sources, ranges, layout=layout, unit=unit)
