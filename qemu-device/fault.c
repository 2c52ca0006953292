/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MX1: injected faults. The places where they strike ask here; what is asked
 * for again and again costs one look at a zero.
 */
#include "mxaccel.h"
#include "hw/pci/pci_bridge.h"
#include "qapi/visitor.h"
#include "trace.h"

#define MX_FLOOD_NS         50000
#define MX_NO_STATUS        0x7fff
#define MX_ADMIN_BIT        1u

static const struct {
    const char *property;
    uint32_t max;
    const char *text;
} mx_faults[] = {
#define MX_X(name, property, max, text) [MX_FAULT_##name] = { property, max, text },
    MX_FAULTS(MX_X)
#undef MX_X
};

/* A completion that is on its way. */
struct MxDelayed {
    MxState *s;
    MxQueue *queue;
    MxEntry entry;
    QEMUTimer *timer;
    QTAILQ_ENTRY(MxDelayed) link;
};

/* Is one of the next n due? */
bool mx_fault_take(MxState *s, MxFault fault)
{
    if (!s->fault[fault]) {
        return false;
    }
    s->fault[fault]--;
    trace_mxaccel_fault(mx_faults[fault].property, s->fault[fault]);
    return true;
}

/* ------------------------------------------------------------- completions */

static void mx_delayed_free(MxDelayed *delayed)
{
    QTAILQ_REMOVE(&delayed->s->delayed, delayed, link);
    timer_free(delayed->timer);
    g_free(delayed);
}

static void mx_delayed_expired(void *opaque)
{
    MxDelayed *delayed = opaque;
    MxState *s = delayed->s;

    mx_queue_post(s, delayed->queue, &delayed->entry);
    mx_delayed_free(delayed);
    mx_queues_flush(s);
}

static void mx_fault_delay(MxState *s, MxQueue *q, const MxEntry *entry)
{
    MxDelayed *delayed = g_new0(MxDelayed, 1);

    delayed->s = s;
    delayed->queue = q;
    delayed->entry = *entry;
    delayed->timer = timer_new_ms(QEMU_CLOCK_VIRTUAL, mx_delayed_expired,
                                  delayed);
    QTAILQ_INSERT_TAIL(&s->delayed, delayed, link);
    timer_mod(delayed->timer, qemu_clock_get_ms(QEMU_CLOCK_VIRTUAL) +
              s->fault[MX_FAULT_DELAY_MS]);
}

/* Changes a completion; false if it is not to be written now. */
bool mx_fault_completion(MxState *s, MxQueue *q, MxEntry *entry)
{
    uint32_t queues = s->fault[MX_FAULT_QUEUES] ?: ~MX_ADMIN_BIT;

    if (!(queues >> q->qid & 1)) {
        return true;
    }
    if (mx_fault_take(s, MX_FAULT_DROP)) {
        return false;
    }
    if (mx_fault_take(s, MX_FAULT_DELAY)) {
        mx_fault_delay(s, q, entry);
        return false;
    }
    if (mx_fault_take(s, MX_FAULT_STATUS)) {
        entry->status = MX_NO_STATUS;
    }
    if (mx_fault_take(s, MX_FAULT_ID)) {
        entry->cid ^= 0xffff;
    }
    entry->old_phase = mx_fault_take(s, MX_FAULT_PHASE);
    if (mx_fault_take(s, MX_FAULT_DUPLICATE)) {
        mx_queue_post(s, q, entry);
    }
    return true;
}

/* Nothing of before reaches a queue pair that is made or ended. */
void mx_fault_forget(MxState *s, const MxQueue *q)
{
    MxDelayed *delayed, *next;

    QTAILQ_FOREACH_SAFE(delayed, &s->delayed, link, next) {
        if (!q || delayed->queue == q) {
            mx_delayed_free(delayed);
        }
    }
}

/* -------------------------------------------------------------- interrupts */

static void mx_flood(void *opaque)
{
    MxState *s = opaque;

    if (mx_fault_take(s, MX_FAULT_FLOOD)) {
        for (uint32_t vector = 0; vector < s->vectors; vector++) {
            mx_notify(s, vector);
        }
        timer_mod_ns(s->flood, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) +
                     MX_FLOOD_NS);
    }
}

/* --------------------------------------------------------------------- DMA */

static bool mx_dma_is_queue(const MxState *s, uint64_t addr)
{
    for (unsigned qid = 0; qid < MX_NR_QUEUES; qid++) {
        const MxQueue *q = &s->queue[qid];

        if (q->live &&
            (addr - q->sq_addr < q->sq_entries * sizeof(struct mxaccel_sqe) ||
             addr - q->cq_addr < q->cq_entries * sizeof(struct mxaccel_cqe) ||
             (q->shadowed &&
              addr - q->shadow < sizeof(struct mxaccel_shadow)))) {
            return true;
        }
    }
    return false;
}

/* Does this access to host memory fail? */
bool mx_fault_dma(MxState *s, uint64_t addr)
{
    if (!s->fault[MX_FAULT_DMA] && !s->fault[MX_FAULT_DMA_QUEUE]) {
        return false;
    }
    return mx_fault_take(s, mx_dma_is_queue(s, addr) ? MX_FAULT_DMA_QUEUE :
                         MX_FAULT_DMA);
}

/* ------------------------------------------------- the function as a whole */

static bool mx_fault_aer(MxState *s, uint32_t kind, Error **errp)
{
    static const uint32_t status[] = {
        0, PCI_ERR_COR_RCVR, PCI_ERR_UNC_COMP_TIME, PCI_ERR_UNC_MALF_TLP,
    };
    PCIEAERErr err = {
        .status = status[kind],
        .source_id = pci_requester_id(PCI_DEVICE(s)),
        .flags = kind == 1 ? PCIE_AER_ERR_IS_CORRECTABLE : 0,
    };

    if (kind && pcie_aer_inject_error(PCI_DEVICE(s), &err) < 0) {
        error_setg(errp, "this function cannot report errors by AER");
        return false;
    }
    return true;
}

/*
 * What a slot does whose device was pulled out: the link and the presence
 * bits go, then the guest is told. QEMU has no such call, only the orderly way.
 */
static void mx_pull_out(void *opaque)
{
    DeviceState *dev = opaque;
    PCIDevice *port = pci_bridge_get_device(pci_get_bus(PCI_DEVICE(dev)));
    uint8_t *cap = port->config + port->exp.exp_cap;

    dev->pending_deleted_event = true;
    hotplug_handler_unplug(qdev_get_hotplug_handler(dev), dev, &error_abort);
    object_unparent(OBJECT(dev));
    pci_word_test_and_clear_mask(cap + PCI_EXP_LNKSTA, PCI_EXP_LNKSTA_DLLLA);
    pci_word_test_and_clear_mask(cap + PCI_EXP_SLTSTA, PCI_EXP_SLTSTA_PDS);
    /* Not PCI_EXP_SLTSTA_DLLSC: the guest could not clear it in QEMU's port. */
    pci_word_test_and_set_mask(cap + PCI_EXP_SLTSTA, PCI_EXP_SLTSTA_PDC);
    /* Of the calls that raise the slot's interrupt this is the one there is. */
    pcie_cap_slot_push_attention_button(port);
    pci_word_test_and_clear_mask(cap + PCI_EXP_SLTSTA, PCI_EXP_SLTSTA_ABP);
    object_unref(OBJECT(dev));
}

static bool mx_fault_remove(MxState *s, Error **errp)
{
    DeviceState *dev = DEVICE(s);

    if (!qdev_get_hotplug_handler(dev) ||
        !pci_bridge_get_device(pci_get_bus(PCI_DEVICE(s)))) {
        error_setg(errp, "fault-remove: the device is in no hot-plug slot; put "
                   "it behind a pcie-root-port");
        return false;
    }
    object_ref(OBJECT(dev));
    aio_bh_schedule_oneshot(qemu_get_aio_context(), mx_pull_out, dev);
    return true;
}

/* ------------------------------------------------------------------- power */

/* Called on any thread each time that cells are made durable. */
bool mx_fault_power_lost(MxState *s)
{
    uint32_t left = qatomic_read(&s->fault[MX_FAULT_POWER_CUT]);

    while (left && !qatomic_read(&s->power_lost)) {
        uint32_t was = qatomic_cmpxchg(&s->fault[MX_FAULT_POWER_CUT], left,
                                       left - 1);

        if (was == left) {
            if (left == 1) {
                qatomic_set(&s->power_lost, true);
                qemu_bh_schedule(s->bh);
            }
            break;
        }
        left = was;
    }
    return qatomic_read(&s->power_lost);
}

/* -------------------------------------------------------------- properties */

static bool mx_fault_strike(MxState *s, MxFault fault, uint32_t value,
                            Error **errp)
{
    switch (fault) {
    case MX_FAULT_AER:
        return mx_fault_aer(s, value, errp);
    case MX_FAULT_REMOVE:
        return !value || mx_fault_remove(s, errp);
    case MX_FAULT_STUCK:
        if (mx_chip_break_chunks(s->chip, value) != value) {
            error_setg(errp, "fault-stuck: fewer than %u chunks are free", value);
            return false;
        }
        return true;
    default:
        s->fault[fault] = value;
        return true;
    }
}

static void mx_fault_set(Object *obj, Visitor *v, const char *name,
                         void *opaque, Error **errp)
{
    MxFault fault = GPOINTER_TO_UINT(opaque);
    MxState *s = MXACCEL(obj);
    uint32_t value;

    if (!visit_type_uint32(v, name, &value, errp)) {
        return;
    }
    if (value > mx_faults[fault].max) {
        error_setg(errp, "%s=%u: at most %u", name, value,
                   mx_faults[fault].max);
        return;
    }
    if (!DEVICE(s)->realized) {
        error_setg(errp, "%s is for qom-set, once the device is there", name);
        return;
    }
    if (!mx_fault_strike(s, fault, value, errp)) {
        return;
    }
    if (fault == MX_FAULT_FLOOD) {
        mx_flood(s);
    } else if (fault == MX_FAULT_STALL) {
        /* Those that are free again may have work. */
        qemu_bh_schedule(s->bh);
    }
}

static void mx_fault_get(Object *obj, Visitor *v, const char *name,
                         void *opaque, Error **errp)
{
    uint32_t value = MXACCEL(obj)->fault[GPOINTER_TO_UINT(opaque)];

    visit_type_uint32(v, name, &value, errp);
}

void mx_fault_class_init(ObjectClass *klass)
{
    for (unsigned fault = 0; fault < MX_NR_FAULTS; fault++) {
        object_class_property_add(klass, mx_faults[fault].property, "uint32",
                                  mx_fault_get, mx_fault_set, NULL,
                                  GUINT_TO_POINTER(fault));
        object_class_property_set_description(klass, mx_faults[fault].property,
                                              mx_faults[fault].text);
    }
}

void mx_fault_init(MxState *s)
{
    QTAILQ_INIT(&s->delayed);
    s->flood = timer_new_ns(QEMU_CLOCK_VIRTUAL, mx_flood, s);
}

void mx_fault_exit(MxState *s)
{
    mx_fault_forget(s, NULL);
    timer_free(s->flood);
    s->flood = NULL;
}
