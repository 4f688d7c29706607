"""Which video files `models.videos` writes; known without OpenCV, for who only tells of them."""

WRITES = {
    ".mp4": "mp4v",
    ".m4v": "mp4v",
    ".mov": "mp4v",
    ".mkv": "mp4v",
    ".avi": "XVID",
    ".webm": "VP80",
}
"""Suffix -> codec. MPEG-4 Part 2 is what this FFmpeg writes fast (it has no H.264 encoder);
browsers play VP8, which takes ten times as long."""
