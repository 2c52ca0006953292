/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MX1: checks that several commands share. The first thing found wrong is
 * what the answer tells.
 */
#include "mxaccel.h"
#include "qemu/cutils.h"

void mx_fail(MxCommand *cmd, uint16_t status, uint16_t field)
{
    cmd->status = status;
    cmd->field = field;
    cmd->result = 0;
}

/* Reserved bytes of the entry: false and BAD_FIELD if one is set. */
bool mx_zero(MxCommand *cmd, uint16_t offset, uint16_t bytes)
{
    if (buffer_is_zero((const uint8_t *)&cmd->sqe + offset, bytes)) {
        return true;
    }
    mx_fail(cmd, MXACCEL_ST_BAD_FIELD, offset);
    return false;
}

/* For commands without a context. */
bool mx_no_ctx(MxCommand *cmd)
{
    return MX_ZERO(cmd, ctx);
}

MxContext *mx_command_ctx(MxState *s, MxCommand *cmd)
{
    MxContext *ctx = g_hash_table_lookup(s->contexts,
                                         GUINT_TO_POINTER(cmd->ctx));

    if (!ctx || ctx->destroying) {
        mx_fail(cmd, MXACCEL_ST_BAD_CTX, MX_FIELD(ctx));
        return NULL;
    }
    return ctx;
}
