"""Outside formats: what is written is read again, damage is named, conventions are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stereo_toys import rig

from outside import real_data
from triscope.errors import DataError
from triscope.kernel.geometry.cameras import invert, is_rotation, project
from triscope.shape.formats import colmap, mvsnet, open_scene
from triscope.shape.formats.meshes import (
    read_mesh,
    read_obj,
    read_stl,
    read_surface,
    write_obj,
    write_stl,
)
from triscope.shape.formats.pfm import read_pfm, write_pfm
from triscope.shape.formats.ply import read_ply, write_ply
from triscope.shape.scene import Range, Scene, Sparse, View
from triscope.shape.surface import Cloud, Mesh

SIZE = (24, 32)
TETRA = Mesh(
    np.array([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]]),
    np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]),
)


def scene(views: int = 3, unit: str = "mm") -> Scene:
    K, poses = rig(views, SIZE, 30.0)
    rng = np.random.default_rng(0)
    made = [
        View(f"{i:08d}", rng.integers(0, 255, (*SIZE, 3)).astype(np.uint8), K[i], poses[i], SIZE)
        for i in range(views)
    ]
    sources = {i: tuple((j, 1.5 + j) for j in range(views) if j != i) for i in range(views)}
    return Scene(tuple(made), sources, {0: Range(2.0, 8.0, 64)}, unit=unit)


def same_views(one: Scene, two: Scene) -> None:
    for a, b in zip(one.views, two.views, strict=True):
        assert np.allclose(a.K, b.K, atol=1e-12) and a.size == b.size
        assert np.allclose(a.cam_T_world, b.cam_T_world, atol=1e-12)
        assert np.array_equal(a.read(), b.read())


def test_the_mvsnet_layout_comes_back(tmp_path: Path) -> None:
    made = scene()
    read = open_scene(mvsnet.write_scene(tmp_path, made), second="interval")
    same_views(made, read)
    assert read.sources == made.sources and read.unit == "mm"
    assert read.ranges[0] == made.ranges[0] and 1 not in read.ranges


@pytest.mark.parametrize(
    ("line", "second", "near_far_planes"),
    [
        ("425 2.5", "interval", (425, 902.5, 0)),
        ("425 905", "max", (425, 905, 0)),
        ("425 2.5 128", None, (425, 742.5, 128)),
        ("425 2.5 128 900", None, (425, 900, 128)),
        ("", None, None),
    ],
)
def test_the_depth_line_is_read_as_meant(
    tmp_path: Path, line: str, second: Any, near_far_planes: Any
) -> None:
    path = tmp_path / "00000000_cam.txt"
    camera = mvsnet.Camera(np.eye(4), np.array([[30.0, 0, 16], [0, 30, 12], [0, 0, 1]]))
    mvsnet.write_cam(path, camera)
    path.write_text(path.read_text() + line + "\n")
    found = mvsnet.read_cam(path, second).range(192)
    assert (found and (found.near, found.far, found.planes)) == near_far_planes


def test_two_numbers_are_never_guessed(tmp_path: Path) -> None:
    path = tmp_path / "00000000_cam.txt"
    mvsnet.write_cam(path, mvsnet.Camera(np.eye(4), np.eye(3), near=425, interval=2.5))
    with pytest.raises(DataError, match=r"two numbers: MVSNet means .* Say which with second="):
        mvsnet.read_cam(path)
    assert mvsnet.read_cam(path, "interval").interval == 2.5


def sparse_model() -> colmap.Model:
    model = colmap.model_of(scene())
    rng = np.random.default_rng(1)
    for number in range(5):
        track = tuple((i, number) for i in (1, 2))
        xyz = tuple(rng.standard_normal(3).tolist())
        model.points[number + 10] = colmap.Point(xyz, (1, 2, number), 0.25, track)
    for i, image in list(model.images.items()):
        ids = np.arange(10, 15) if i < 3 else np.full(5, -1)
        xy = rng.random((5, 2)) * 20
        model.images[i] = colmap.Image(
            image.name, image.camera, image.quaternion, image.translation, xy, ids
        )
    return model


@pytest.mark.parametrize("binary", [True, False])
def test_a_colmap_model_comes_back(tmp_path: Path, binary: bool) -> None:
    model, made = sparse_model(), scene()
    colmap.write_model(tmp_path / "sparse", model, binary=binary)
    read = colmap.read_model(tmp_path / "sparse")
    assert read.cameras == model.cameras and read.points == model.points
    for i, image in model.images.items():
        assert read.images[i].name == image.name
        assert np.array_equal(read.images[i].xy, image.xy)
        assert np.array_equal(read.images[i].point_ids, image.point_ids)
    (tmp_path / "images").mkdir()
    for view in made.views:
        cv2.imwrite(str(tmp_path / "images" / f"{view.name}.png"), view.read()[..., ::-1])
    same_views(open_scene(tmp_path), made)
    sparse = open_scene(tmp_path).sparse
    assert isinstance(sparse, Sparse) and [len(s) for s in sparse.seen] == [5, 5, 0]


def test_colmap_reads_what_pycolmap_writes(tmp_path: Path) -> None:
    pycolmap = pytest.importorskip("pycolmap")
    colmap.write_model(tmp_path, sparse_model(), binary=False)
    theirs = pycolmap.Reconstruction(tmp_path)
    (tmp_path / "b").mkdir()
    theirs.write_binary(tmp_path / "b")
    read, made = colmap.read_model(tmp_path / "b"), scene()
    for i, view in enumerate(made.views, 1):
        turn = colmap.rotation(read.images[i].quaternion)
        assert np.allclose(turn, view.cam_T_world[:3, :3], atol=1e-9)
        assert np.allclose(colmap.K_of(read.cameras[i]), view.K)


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3))
@settings(max_examples=40, deadline=None)
def test_quaternions_come_back(axis: list[float]) -> None:
    R, _ = cv2.Rodrigues(3.1 * np.array(axis))
    assert np.allclose(colmap.rotation(colmap.quaternion(R)), R, atol=1e-9)
    assert is_rotation(colmap.rotation(colmap.quaternion(R)), 1e-9)


def test_distortion_is_refused() -> None:
    with pytest.raises(DataError, match="undistort the images first"):
        colmap.K_of(colmap.Camera("SIMPLE_RADIAL", 32, 24, (30.0, 16, 12, 0.1)))


@pytest.mark.real
def test_real_rigs_see_the_same_points() -> None:
    """Projections into the image of neighbours stay where the part is."""
    temple = open_scene(real_data("middlebury") / "templeSparseRing")
    assert len(temple.views) == 16 and temple.unit == "m"
    middle = np.array([-0.02, 0.1, 0.025])  # of the box that the data set gives
    for view in temple.views:
        (x, y), depth = project(view.K, view.cam_T_world, middle)
        assert 150 < x < 490 and 100 < y < 380 and 0.4 < depth < 0.8
    fountain = open_scene(real_data("strecha") / "fountain-P11")
    assert fountain.views[0].K[0, 0] == pytest.approx(2759.48 / 2)
    assert fountain.views[0].K[0, 2] == pytest.approx((1520.69 + 0.5) / 2 - 0.5)
    posed = open_scene(real_data("hololens_rgbd"))
    assert len(posed.sources) == 48 and posed.views[posed.number("00020")].true_depth() is not None
    assert np.allclose(invert(posed.views[0].cam_T_world)[:3, 3], posed.views[0].centre)


@given(st.integers(1, 9), st.integers(1, 9), st.booleans())
@settings(max_examples=20, deadline=None)
def test_pfm_comes_back(tmp_path_factory: Any, h: int, w: int, colour: bool) -> None:
    path = tmp_path_factory.mktemp("pfm") / "a.pfm"
    values = np.random.default_rng(h * w).standard_normal((h, w, 3) if colour else (h, w))
    write_pfm(path, values.astype(np.float32))
    assert np.array_equal(read_pfm(path), values.astype(np.float32))
    swapped = path.read_bytes()[: -values.size * 4].replace(b"-1.0", b"1.0")
    path.write_bytes(swapped + np.ascontiguousarray(values[::-1], ">f4").tobytes())
    assert np.array_equal(read_pfm(path), values.astype(np.float32))


def full_cloud() -> Cloud:
    rng = np.random.default_rng(3)
    normals = rng.standard_normal((7, 3)).astype(np.float32).astype(np.float64)
    return Cloud(
        rng.standard_normal((7, 3)),
        normals,
        rng.integers(0, 255, (7, 3)).astype(np.uint8),
        rng.random(7).astype(np.float32),
        rng.integers(1, 9, 7).astype(np.int32),
        rng.standard_normal(7).astype(np.float32),
    )


@pytest.mark.parametrize("text", [True, False])
def test_clouds_and_meshes_come_back_as_ply(tmp_path: Path, text: bool) -> None:
    path, cloud = tmp_path / "a.ply", full_cloud()
    write_ply(path, cloud, text=text)
    read = read_ply(path)
    assert isinstance(read, Cloud) and np.array_equal(read.points, cloud.points)
    for name, part in cloud.parts().items():
        assert np.allclose(getattr(read, name), part, atol=1e-6), name
    write_ply(path, TETRA, text=text)
    mesh = read_mesh(path)
    assert np.array_equal(mesh.faces, TETRA.faces) and np.array_equal(mesh.vertices, TETRA.vertices)


def test_meshes_come_back_as_stl_and_obj(tmp_path: Path) -> None:
    write_stl(tmp_path / "a.stl", TETRA)
    write_obj(tmp_path / "a.obj", TETRA)
    stl, obj = read_stl(tmp_path / "a.stl"), read_obj(tmp_path / "a.obj")
    assert np.array_equal(obj.faces, TETRA.faces) and np.array_equal(obj.vertices, TETRA.vertices)
    assert np.allclose(np.sort(stl.areas()), np.sort(TETRA.areas())) and len(stl.vertices) == 4
    assert stl.open_edges() == 0
    text = "solid a\n" + "".join(
        "facet normal 0 0 0\nouter loop\n"
        + "".join(f"vertex {x} {y} {z}\n" for x, y, z in corner)
        + "endloop\nendfacet\n"
        for corner in TETRA.corners
    )
    (tmp_path / "b.stl").write_text(text + "endsolid a\n")
    assert np.allclose(np.sort(read_stl(tmp_path / "b.stl").areas()), np.sort(TETRA.areas()))


def test_others_read_our_files(tmp_path: Path) -> None:
    trimesh = pytest.importorskip("trimesh")
    write_ply(tmp_path / "a.ply", TETRA)
    write_stl(tmp_path / "a.stl", TETRA)
    for name in ("a.ply", "a.stl"):
        theirs = trimesh.load(tmp_path / name)
        assert theirs.is_watertight and abs(theirs.volume) == pytest.approx(1.0)
        theirs.export(tmp_path / "b.ply")
        assert np.allclose(np.sort(read_mesh(tmp_path / "b.ply").areas()), np.sort(TETRA.areas()))


def test_a_quad_of_obj_becomes_two_triangles(tmp_path: Path) -> None:
    path = tmp_path / "a.obj"
    path.write_text("v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1/1 2/2 3/3 -1\n")
    assert read_obj(path).areas().sum() == pytest.approx(1.0)


def good_files(folder: Path) -> dict[str, Any]:
    write_pfm(folder / "a.pfm", np.ones((3, 4), np.float32))
    write_ply(folder / "a.ply", TETRA)
    write_ply(folder / "b.ply", full_cloud(), text=True)
    write_stl(folder / "a.stl", TETRA)
    write_obj(folder / "a.obj", TETRA)
    mvsnet.write_cam(folder / "a_cam.txt", mvsnet.Camera(np.eye(4), np.eye(3), 1, 1, 8, 8))
    mvsnet.write_pairs(folder / "pair.txt", scene().sources)
    readers: dict[str, Any] = {
        "a.pfm": read_pfm, "a_cam.txt": mvsnet.read_cam, "pair.txt": mvsnet.read_pairs,
    }  # fmt: skip
    return readers | dict.fromkeys(("a.ply", "b.ply", "a.stl", "a.obj"), read_surface)


@given(st.data())
@settings(max_examples=120, deadline=None)
def test_damaged_files_never_crash_the_readers(tmp_path_factory: Any, data: Any) -> None:
    """Bytes lost, changed or added: a DataError, or an answer; nothing else."""
    folder = tmp_path_factory.mktemp("fuzz")
    readers = good_files(folder)
    name = data.draw(st.sampled_from(sorted(readers)))
    content = bytearray((folder / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(0, len(content) - 1)))
        kind = data.draw(st.sampled_from(["cut", "flip", "add"]))
        if kind == "cut":
            del content[at : at + data.draw(st.integers(1, 60))]
        elif kind == "flip" and content:
            content[min(at, len(content) - 1)] = data.draw(st.integers(0, 255))
        else:
            content[at:at] = data.draw(st.binary(max_size=9))
    (folder / name).write_bytes(bytes(content))
    try:
        readers[name](folder / name)
    except DataError as error:
        assert len(str(error)) > 10


@given(st.binary(max_size=300), st.sampled_from(["cameras", "images", "points3D"]))
@settings(max_examples=60, deadline=None)
def test_damaged_colmap_models_never_crash(tmp_path_factory: Any, more: bytes, name: str) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    colmap.write_model(folder, sparse_model())
    path = folder / f"{name}.bin"
    path.write_bytes(path.read_bytes()[: len(more)] + more)
    try:
        colmap.read_model(folder)
    except DataError as error:
        assert len(str(error)) > 10


def test_huge_promises_are_refused_before_memory_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    head = "ply\nformat binary_little_endian 1.0\nelement vertex 190000000\n"
    path.write_text(head + "property float x\nproperty float y\nproperty float z\nend_header\n")
    with pytest.raises(DataError, match="cut off"):
        read_ply(path)
    path.write_text(head.replace("190000000", "990000000") + "end_header\n")
    with pytest.raises(DataError, match="at most 200,000,000"):
        read_ply(path)


def change(view: View, **changes: Any) -> View:
    return View(**{**view.__dict__, **changes})


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"K": np.full((3, 3), np.nan)}, "holds values that are not finite"),
        ({"cam_T_world": np.diag([1.0, 1, -1, 1])}, "holds no rotation"),
        ({"K": np.diag([-30.0, 30, 1])}, "focal lengths -30, 30"),
        ({"K": np.array([[300.0, 0, 160], [0, 300, 120], [0, 0, 1]])}, "belongs to another size"),
    ],
)
def test_cameras_that_cannot_be_meant_name_their_view(changes: Any, text: str) -> None:
    good = scene().views[0]
    with pytest.raises(DataError, match=f"view 00000000: .*{text}"):
        Scene((change(good, **changes),))


def test_missing_images_and_views_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is no scene that is known: none of cams/\*_cam.txt"):
        open_scene(tmp_path)
    mvsnet.write_scene(tmp_path, scene())
    (tmp_path / "images" / "00000001.png").unlink()
    with pytest.raises(DataError, match=r"no image 00000001.jpg or .png \(2 files there, first"):
        open_scene(tmp_path)
    mvsnet.write_scene(tmp_path, scene())
    (tmp_path / "pair.txt").write_text("1\n0\n1 17 1.0\n")
    with pytest.raises(DataError, match="names view 17, but cams/ has 3 views: 0 to 2"):
        open_scene(tmp_path)


def test_resized_views_keep_what_they_see() -> None:
    view = scene().views[1]
    small = Scene((view,)).resized(16).views[0]
    assert small.size == (12, 16) and small.read().shape == (12, 16, 3)
    point = np.array([0.3, -0.2, 5.0])
    (x, y), _ = project(view.K, view.cam_T_world, point)
    (u, v), _ = project(small.K, small.cam_T_world, point)
    assert (u + 0.5) * 2 == pytest.approx(x + 0.5) and (v + 0.5) * 2 == pytest.approx(y + 0.5)
