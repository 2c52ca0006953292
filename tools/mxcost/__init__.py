# SPDX-License-Identifier: LGPL-2.1-or-later
"""mxcost: what chips cost, from their chip files and the counters of runs."""
