# SPDX-License-Identifier: Apache-2.0
"""What undoes a fault: one family of maps a file."""
