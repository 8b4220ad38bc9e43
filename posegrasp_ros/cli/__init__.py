"""The commands of ``posegrasp``: one thin one each, grouped by what they are about."""
