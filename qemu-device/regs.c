/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MX1: registers, doorbell pages, and the controller's life: disabled,
 * enabled, stopped by a fatal error.
 */
#include "mxaccel.h"
#include "qemu/log.h"
#include "trace.h"

/*
 * Longest enable or disable, in 100 ms: a job on a worker ends at its next
 * macro-op, a commit when it has hashed the model.
 */
#define MX_CAP_TO           50
/* An emulated host is that much slower than the one drivers are made for. */
#define MX_TIMEOUT_SCALE    10

#define MX_DOORBELL_BYTES   (32 * MXACCEL_DB_STRIDE)

static uint64_t mx_cap(const MxState *s)
{
    return (uint64_t)(MXACCEL_QUEUE_MAX - 1) << MXACCEL_CAP_MQES_SHIFT |
           (uint64_t)s->queues << MXACCEL_CAP_NQP_SHIFT |
           (uint64_t)ctz32(MXACCEL_DB_STRIDE) << MXACCEL_CAP_DBS_SHIFT |
           (uint64_t)MX_CAP_TO << MXACCEL_CAP_TO_SHIFT;
}

/*
 * RDY follows EN, up and down, only when no worker holds on to anything from
 * before.
 */
static uint32_t mx_status(const MxState *s)
{
    if (s->fatal) {
        return MXACCEL_STATUS_FATAL | s->fatal << MXACCEL_STATUS_CODE_SHIFT;
    }
    return s->running || (s->nr_orphans && !(s->ctrl & MXACCEL_CTRL_EN)) ?
           MXACCEL_STATUS_RDY : 0;
}

/* *@wide tells whether it is a 64-bit register, which may be read in halves. */
static uint64_t mx_reg_value(MxState *s, hwaddr addr, bool *wide)
{
    uint64_t index = (addr - MXACCEL_REG_CTR) / 8;

    *wide = false;
    switch (addr) {
    case MXACCEL_REG_ID:
        return MXACCEL_ID;
    case MXACCEL_REG_VERSION:
        return MXACCEL_VERSION;
    case MXACCEL_REG_PLATFORM:
        return MXACCEL_PLATFORM_QEMU;
    case MXACCEL_REG_TIMEOUT_SCALE:
        return MX_TIMEOUT_SCALE;
    case MXACCEL_REG_CTRL:
        return s->ctrl;
    case MXACCEL_REG_STATUS:
        return mx_status(s);
    case MXACCEL_REG_AQA:
        return s->aqa;
    case MXACCEL_REG_CLOCK_KHZ:
        return s->config.clock_khz;
    case MXACCEL_REG_CTR_NR:
        return MXACCEL_CTR_NR;
    }
    *wide = true;
    switch (addr & ~7ull) {
    case MXACCEL_REG_CAP:
        return mx_cap(s);
    case MXACCEL_REG_FEATURES:
        return MXACCEL_FEATURE_REUSE | MXACCEL_FEATURE_HEALTH |
               MXACCEL_FEATURE_SCHEDULE | MXACCEL_FEATURE_REFRESH |
               MXACCEL_FEATURE_PROGRESS |
               (s->shadow ? MXACCEL_FEATURE_SHADOW : 0) |
               (s->coalescing ? MXACCEL_FEATURE_COALESCE : 0);
    case MXACCEL_REG_ASQ:
        return s->asq;
    case MXACCEL_REG_ACQ:
        return s->acq;
    }
    return addr >= MXACCEL_REG_CTR && index < MXACCEL_CTR_NR ?
           s->window.v[index] : 0;
}

static uint64_t mx_regs_read(void *opaque, hwaddr addr, unsigned size)
{
    MxState *s = opaque;
    bool wide;
    uint64_t value = mx_reg_value(s, addr, &wide);

    if (mx_fault_absent(s)) {
        value = UINT64_MAX >> (64 - 8 * size);
    } else if (size == 8) {
        value = wide ? value : 0;
    } else {
        value = (uint32_t)(value >> (wide && (addr & 4) ? 32 : 0));
    }
    trace_mxaccel_reg_read(addr, size, value);
    return value;
}

static bool mx_queue_usable(uint32_t entries, uint64_t addr)
{
    return entries >= MXACCEL_QUEUE_MIN && entries <= MXACCEL_QUEUE_MAX &&
           addr % MXACCEL_PAGE == 0;
}

/* Starts the admin pair; STATUS tells how it went. */
static void mx_controller_start(MxState *s)
{
    uint32_t sq_entries = (s->aqa & 0xffff) + 1;
    uint32_t cq_entries = (s->aqa >> 16) + 1;

    trace_mxaccel_enable(sq_entries, s->asq, cq_entries, s->acq);
    if (!mx_queue_usable(sq_entries, s->asq) ||
        !mx_queue_usable(cq_entries, s->acq)) {
        qemu_log_mask(LOG_GUEST_ERROR, "mxaccel: unusable admin queues\n");
        mx_fatal(s, MXACCEL_FATAL_BAD_ENABLE);
        return;
    }
    mx_queue_open(s, &s->queue[0], sq_entries, s->asq, cq_entries, s->acq,
                  true, 0);
    s->running = true;
    qatomic_set(&s->hang_released, 0);
    trace_mxaccel_ready();
}

void mx_controller_settle(MxState *s)
{
    if (qatomic_read(&s->power_lost) && !s->running && !s->fatal &&
        !s->nr_orphans) {
        mx_power_cycle(s);
    }
    if ((s->ctrl & MXACCEL_CTRL_EN) && !s->running && !s->fatal &&
        !s->nr_orphans) {
        mx_controller_start(s);
    }
}

void mx_controller_stop(MxState *s)
{
    trace_mxaccel_stop();
    s->running = false;
    s->fatal = 0;
    mx_fault_forget(s, NULL);
    mx_tasks_orphan(s);
    /* Orphans of before hear of it here only. */
    qatomic_set(&s->hang_released, s->rung + 1);
    mx_ctx_drop_all(s);
    memset(s->queue, 0, sizeof(s->queue));
    s->irq_due = 0;
}

void mx_fatal(MxState *s, uint32_t code)
{
    if (s->fatal) {
        return;
    }
    trace_mxaccel_fatal(code);
    s->fatal = code;
    s->running = false;
    /* Nothing of what is under way reaches the host any more. */
    mx_tasks_orphan(s);
    /* So that a driver that sleeps has a look at STATUS. */
    mx_notify(s, 0);
}

static void mx_ctrl_write(MxState *s, uint32_t value)
{
    uint32_t was = s->ctrl;

    s->ctrl = value & MXACCEL_CTRL_EN;
    if (was && !s->ctrl) {
        s->rung = MX_RUNG_CONTROLLER;
        mx_controller_stop(s);
        s->rung = MX_RUNG_ABORT;
    }
    mx_controller_settle(s);
}

static void mx_counters_latch(MxState *s)
{
    mx_queues_flush(s);
    mx_chip_counters(s->chip, &s->window);
}

/* Writes one half, or all, of a 64-bit register. */
static void mx_wide_write(uint64_t *reg, hwaddr addr, unsigned size,
                          uint64_t value)
{
    *reg = size == 8 ? value : deposit64(*reg, addr & 4 ? 32 : 0, 32, value);
}

static void mx_regs_write(void *opaque, hwaddr addr, uint64_t value,
                          unsigned size)
{
    MxState *s = opaque;

    trace_mxaccel_reg_write(addr, size, value);
    if (mx_fault_absent(s)) {
        return;
    }
    switch (addr & ~7ull) {
    case MXACCEL_REG_ASQ:
        mx_wide_write(&s->asq, addr, size, value);
        return;
    case MXACCEL_REG_ACQ:
        mx_wide_write(&s->acq, addr, size, value);
        return;
    }
    if (size != 4) {
        return;
    }
    switch (addr) {
    case MXACCEL_REG_CTRL:
        mx_ctrl_write(s, value);
        break;
    case MXACCEL_REG_AQA:
        s->aqa = value;
        break;
    case MXACCEL_REG_CTR_LATCH:
        mx_counters_latch(s);
        break;
    }
}

static const MemoryRegionOps mx_regs_ops = {
    .read = mx_regs_read,
    .write = mx_regs_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 4, .max_access_size = 8 },
    .impl = { .min_access_size = 4, .max_access_size = 8 },
};

static uint64_t mx_doorbells_read(void *opaque, hwaddr addr, unsigned size)
{
    return mx_fault_absent(opaque) ? UINT64_MAX >> (64 - 8 * size) : 0;
}

static void mx_doorbells_write(void *opaque, hwaddr addr, uint64_t value,
                               unsigned size)
{
    uint32_t qid = addr / MXACCEL_DB_STRIDE;
    uint32_t reg = addr % MXACCEL_DB_STRIDE;

    if (size == 4 && qid < MX_NR_QUEUES &&
        (reg == MXACCEL_DB_SQ_TAIL || reg == MXACCEL_DB_CQ_HEAD)) {
        mx_queue_doorbell(opaque, qid, reg, value);
    }
}

static const MemoryRegionOps mx_doorbells_ops = {
    .read = mx_doorbells_read,
    .write = mx_doorbells_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 4, .max_access_size = 8 },
    .impl = { .min_access_size = 4, .max_access_size = 8 },
};

void mx_regs_init(MxState *s)
{
    PCIDevice *pci = PCI_DEVICE(s);

    memory_region_init_io(&s->regs, OBJECT(s), &mx_regs_ops, s, "mxaccel-regs",
                          MXACCEL_REGS_BYTES);
    pci_register_bar(pci, MXACCEL_BAR_REGS, PCI_BASE_ADDRESS_MEM_TYPE_64,
                     &s->regs);
    memory_region_init_io(&s->doorbells, OBJECT(s), &mx_doorbells_ops, s,
                          "mxaccel-doorbells", MX_DOORBELL_BYTES);
    pci_register_bar(pci, MXACCEL_BAR_DOORBELLS, PCI_BASE_ADDRESS_MEM_TYPE_64,
                     &s->doorbells);
}
