"""Export of images: download, verification, and the files that result."""
