"""Video in: exact frames of files and folders, clips cut from them, live cameras. No torch."""

from triscope.kernel.data.video.camera import Camera, Gap, Live, camera_of, is_camera
from triscope.kernel.data.video.clips import Cut, cut_of, read_clip
from triscope.kernel.data.video.file import Video, open_video
from triscope.kernel.data.video.folder import FrameFolder
from triscope.kernel.data.video.frames import Frames
from triscope.kernel.data.video.layouts import holds_videos, open_videos, without
from triscope.kernel.data.video.sampling import dense, segments, views

__all__ = [
    "Camera",
    "Cut",
    "FrameFolder",
    "Frames",
    "Gap",
    "Live",
    "Video",
    "camera_of",
    "cut_of",
    "dense",
    "holds_videos",
    "is_camera",
    "open_video",
    "open_videos",
    "read_clip",
    "segments",
    "views",
    "without",
]
