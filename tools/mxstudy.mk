# SPDX-License-Identifier: LGPL-2.1-or-later
# mxstudy: what the analog crossbars do to a model's answers.

BINS += $(B)/bin/mxstudy

$(B)/bin/mxstudy: tools/mxstudy.sh
	@mkdir -p $(@D)
	install -m 755 $< $@

.PHONY: study
study: $(B)/bin/mxstudy $(B)/bin/mxchip $(B)/bin/mxmap $(B)/bin/mxrun
	@scripts/setup tests model
	$(B)/bin/mxstudy
