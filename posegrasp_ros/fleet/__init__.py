# SPDX-License-Identifier: Apache-2.0
"""A fleet's worth of recordings: bag in, one Parquet file of frames out; merged and queried later."""
