"""Export of images: download, verification, and the files that result."""

from __future__ import annotations

from devlxdctl.images.export import ExportedFile, ExportedImage, Output, Progress

__all__ = ["ExportedFile", "ExportedImage", "Output", "Progress"]
