/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MX1: PROG_REUSE. Chunks that are resident already are taken over by their
 * digests, so that the host need not send them.
 */
#include "mxaccel.h"

/* Checks the entry's fields but for the list of digests. */
static bool mx_reuse_check(MxState *s, MxCommand *cmd, MxContext *ctx)
{
    uint32_t nr = le32_to_cpu(cmd->sqe.prog_reuse.nr);
    uint64_t addr = le64_to_cpu(cmd->sqe.prog_reuse.addr);

    if (!MX_ZERO(cmd, prog_reuse.rsvd) || !MX_ZERO(cmd, prog_reuse.rsvd2) ||
        !mx_prog_find(s, cmd, ctx)) {
        return false;
    }
    if (!nr || nr > MXACCEL_REUSE_MAX) {
        mx_fail(cmd, MXACCEL_ST_BAD_FIELD, MX_FIELD(prog_reuse.nr));
    } else if (addr % MXACCEL_PAGE) {
        mx_fail(cmd, MXACCEL_ST_BAD_FIELD, MX_FIELD(prog_reuse.addr));
    } else if (!mx_dma_valid(s, addr, MXACCEL_PAGE,
                             DMA_DIRECTION_FROM_DEVICE)) {
        mx_fail(cmd, MXACCEL_ST_DMA_ERROR, MX_FIELD(prog_reuse.addr));
    } else {
        return true;
    }
    return false;
}

/* Asks the chip, and tells the host which chunks it need not send. */
static void mx_reuse_run(MxState *s, MxCommand *cmd, const void *digests)
{
    uint8_t bitmap[MXACCEL_PAGE] = { 0 };
    uint32_t nr = le32_to_cpu(cmd->sqe.prog_reuse.nr);
    uint16_t status;

    status = mx_chip_prog_reuse(s->chip, le32_to_cpu(cmd->sqe.prog_reuse.prog),
                                le64_to_cpu(cmd->sqe.prog_reuse.first), nr,
                                digests, bitmap);
    if (status != MXACCEL_ST_SUCCESS) {
        mx_fail(cmd, status, status == MXACCEL_ST_BAD_RANGE ?
                MX_FIELD(prog_reuse.first) : MX_FIELD(prog_reuse.prog));
        return;
    }
    if (!mx_dma_write(s, le64_to_cpu(cmd->sqe.prog_reuse.addr), bitmap,
                      sizeof(bitmap))) {
        mx_fail(cmd, MXACCEL_ST_DMA_ERROR, MX_FIELD(prog_reuse.addr));
        return;
    }
    s->queue_bytes += sizeof(bitmap);
    for (uint32_t i = 0; i < sizeof(bitmap); i++) {
        cmd->result += ctpop8(bitmap[i]);
    }
}

void mx_prog_reuse(MxState *s, MxCommand *cmd, MxContext *ctx)
{
    static const MxSgFields fields = {
        .bytes = MX_FIELD(prog_reuse.nr),
        .addr = MX_FIELD(prog_reuse.sg_addr),
        .nr = MX_FIELD(prog_reuse.sg_nr),
    };
    g_autofree uint8_t *digests = NULL;
    uint64_t bytes;
    MxSgList sg;

    if (!mx_reuse_check(s, cmd, ctx)) {
        return;
    }
    bytes = (uint64_t)le32_to_cpu(cmd->sqe.prog_reuse.nr) * 32;
    if (!mx_sg_load(s, cmd, &sg, bytes,
                    le64_to_cpu(cmd->sqe.prog_reuse.sg_addr),
                    le32_to_cpu(cmd->sqe.prog_reuse.sg_nr), &fields)) {
        return;
    }
    digests = g_try_malloc(bytes);
    if (!digests) {
        mx_fail(cmd, MXACCEL_ST_NO_MEMORY, 0);
    } else if (!mx_sg_read(s, &sg, 0, digests, bytes)) {
        mx_fail(cmd, MXACCEL_ST_DMA_ERROR, MX_FIELD(prog_reuse.sg_addr));
    } else {
        mx_reuse_run(s, cmd, digests);
    }
    mx_sg_free(&sg);
}
