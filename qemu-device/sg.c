/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MX1: segment lists. They are copied when a command names them, so that what
 * was checked is what is used.
 */
#include "mxaccel.h"

/* Checks and takes over @nr raw segments that should make up @bytes. */
static bool mx_sg_take(MxSgList *sg, const struct mxaccel_sg *raw, uint32_t nr,
                       uint64_t bytes, uint16_t *field,
                       const MxSgFields *fields)
{
    uint64_t start = 0;

    *field = fields->addr;
    for (uint32_t i = 0; i < nr; i++) {
        uint64_t addr = le64_to_cpu(raw[i].addr);
        uint32_t len = le32_to_cpu(raw[i].bytes);

        if (!len || raw[i].rsvd || addr + len - 1 < addr) {
            return false;
        }
        sg->segment[i] = (MxSegment) { .addr = addr, .start = start };
        start += len;
    }
    *field = fields->bytes;
    return start == bytes;
}

/*
 * Reads a list into *@sg; false, and the answer in @cmd, if it cannot be read
 * or is not one.
 */
bool mx_sg_load(MxState *s, MxCommand *cmd, MxSgList *sg, uint64_t bytes,
                uint64_t addr, uint32_t nr, const MxSgFields *fields)
{
    g_autofree struct mxaccel_sg *raw = NULL;
    uint16_t field;

    *sg = (MxSgList) { .nr = nr, .bytes = bytes };
    if (!bytes) {
        mx_fail(cmd, MXACCEL_ST_BAD_FIELD, fields->bytes);
        return false;
    }
    if (!nr || nr > s->config.max_sg) {
        mx_fail(cmd, MXACCEL_ST_BAD_FIELD, fields->nr);
        return false;
    }
    raw = g_try_new(struct mxaccel_sg, nr);
    sg->segment = g_try_new(MxSegment, nr);
    if (!raw || !sg->segment) {
        mx_fail(cmd, MXACCEL_ST_NO_MEMORY, 0);
    } else if (!mx_dma_read(s, addr, raw, nr * sizeof(*raw))) {
        mx_fail(cmd, MXACCEL_ST_DMA_ERROR, fields->addr);
    } else {
        s->queue_bytes += nr * sizeof(*raw);
        if (mx_sg_take(sg, raw, nr, bytes, &field, fields)) {
            return true;
        }
        mx_fail(cmd, MXACCEL_ST_BAD_FIELD, field);
    }
    mx_sg_free(sg);
    return false;
}

void mx_sg_save(const MxSgList *sg, QEMUFile *f)
{
    qemu_put_be32(f, sg->nr);
    qemu_put_be64(f, sg->bytes);
    for (uint32_t i = 0; i < sg->nr; i++) {
        qemu_put_be64(f, sg->segment[i].addr);
        qemu_put_be64(f, sg->segment[i].start);
    }
}

/* False if it is none, or has more than @max segments. */
bool mx_sg_restore(MxSgList *sg, uint32_t max, QEMUFile *f)
{
    bool good;

    sg->nr = qemu_get_be32(f);
    sg->bytes = qemu_get_be64(f);
    good = sg->nr && sg->nr <= max;
    sg->segment = good ? g_new(MxSegment, sg->nr) : NULL;
    for (uint32_t i = 0; good && i < sg->nr; i++) {
        sg->segment[i].addr = qemu_get_be64(f);
        sg->segment[i].start = qemu_get_be64(f);
        good = sg->segment[i].start < sg->bytes &&
               (i ? sg->segment[i].start > sg->segment[i - 1].start :
                !sg->segment[i].start);
    }
    if (!good) {
        mx_sg_free(sg);
    }
    return good;
}

void mx_sg_free(MxSgList *sg)
{
    g_free(sg->segment);
    sg->segment = NULL;
}

/* The segment that holds @offset. */
static uint32_t mx_sg_find(const MxSgList *sg, uint64_t offset)
{
    uint32_t low = 0, high = sg->nr;

    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;

        if (sg->segment[middle].start <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

typedef bool MxSgStep(MxState *s, uint64_t addr, uint8_t *host, uint64_t bytes);

/* Calls @step for each piece of [@offset, @offset + @bytes), all in range. */
static bool mx_sg_walk(MxState *s, const MxSgList *sg, uint64_t offset,
                       uint8_t *host, uint64_t bytes, MxSgStep *step)
{
    uint32_t i = mx_sg_find(sg, offset);

    for (; bytes; i++) {
        uint64_t end = i + 1 < sg->nr ? sg->segment[i + 1].start : sg->bytes;
        uint64_t skip = offset - sg->segment[i].start;
        uint64_t part = MIN(bytes, end - offset);

        if (!step(s, sg->segment[i].addr + skip, host, part)) {
            return false;
        }
        host = host ? host + part : NULL;
        offset += part;
        bytes -= part;
    }
    return true;
}

static bool mx_sg_step_read(MxState *s, uint64_t addr, uint8_t *host,
                            uint64_t bytes)
{
    return mx_dma_read(s, addr, host, bytes);
}

static bool mx_sg_step_write(MxState *s, uint64_t addr, uint8_t *host,
                             uint64_t bytes)
{
    return mx_dma_write(s, addr, host, bytes);
}

static bool mx_sg_step_check(MxState *s, uint64_t addr, uint8_t *host,
                             uint64_t bytes)
{
    return mx_dma_valid(s, addr, bytes, DMA_DIRECTION_FROM_DEVICE);
}

bool mx_sg_read(MxState *s, const MxSgList *sg, uint64_t offset, void *to,
                uint64_t bytes)
{
    return mx_sg_walk(s, sg, offset, to, bytes, mx_sg_step_read);
}

bool mx_sg_write(MxState *s, const MxSgList *sg, uint64_t offset,
                 const void *from, uint64_t bytes)
{
    return mx_sg_walk(s, sg, offset, (uint8_t *)from, bytes, mx_sg_step_write);
}

/* Whether a write there can be expected to succeed; it may still fail. */
bool mx_sg_writable(MxState *s, const MxSgList *sg, uint64_t offset,
                    uint64_t bytes)
{
    return mx_sg_walk(s, sg, offset, NULL, bytes, mx_sg_step_check);
}
