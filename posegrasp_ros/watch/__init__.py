# SPDX-License-Identifier: Apache-2.0
"""See it work, live: frames of any source through the stages, to a page on this machine, a video or a terminal."""
