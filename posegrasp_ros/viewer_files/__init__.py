# SPDX-License-Identifier: Apache-2.0
"""Frames with their answers as files for Foxglove (.mcap) and Rerun (.rrd)."""
