/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MX1: the PCI function. Capabilities, properties, DMA, reset, plug and
 * unplug. Documentation/qemu-device.rst describes the device to its users.
 */
#include "mxaccel.h"
#include "qemu/error-report.h"
#include "qemu/module.h"
#include "qapi/visitor.h"
#include "trace.h"

#define MX_CAP_PM       0x40
#define MX_CAP_MSIX     0x50
#define MX_CAP_EXPRESS  0x80
#define MX_CAP_AER      0x100
#define MX_CAP_SERIAL   (MX_CAP_AER + PCI_ERR_SIZEOF)

/* Memory only: a device's registers are no place for entries and results. */
static MemTxAttrs mx_dma_attrs(MxState *s)
{
    return (MemTxAttrs) {
        .memory = 1,
        .requester_id = pci_requester_id(PCI_DEVICE(s)),
    };
}

static bool mx_dma_rw(MxState *s, uint64_t addr, void *host, uint64_t bytes,
                      DMADirection dir)
{
    if (!mx_fault_absent(s) && !mx_fault_dma(s, addr) &&
        dma_memory_rw(pci_get_address_space(PCI_DEVICE(s)), addr, host, bytes,
                      dir, mx_dma_attrs(s)) == MEMTX_OK) {
        return true;
    }
    trace_mxaccel_dma_error(addr, bytes, dir == DMA_DIRECTION_FROM_DEVICE);
    return false;
}

bool mx_dma_read(MxState *s, uint64_t addr, void *to, uint64_t bytes)
{
    return mx_dma_rw(s, addr, to, bytes, DMA_DIRECTION_TO_DEVICE);
}

bool mx_dma_write(MxState *s, uint64_t addr, const void *from, uint64_t bytes)
{
    return mx_dma_rw(s, addr, (void *)from, bytes, DMA_DIRECTION_FROM_DEVICE);
}

bool mx_dma_valid(MxState *s, uint64_t addr, uint64_t bytes, DMADirection dir)
{
    if (!mx_fault_absent(s) && !mx_fault_dma(s, addr) &&
        dma_memory_valid(pci_get_address_space(PCI_DEVICE(s)), addr, bytes,
                         dir, mx_dma_attrs(s))) {
        return true;
    }
    trace_mxaccel_dma_error(addr, bytes, dir == DMA_DIRECTION_FROM_DEVICE);
    return false;
}

void mx_notify(MxState *s, uint32_t vector)
{
    if (!mx_fault_absent(s)) {
        msix_notify(PCI_DEVICE(s), vector);
    }
}

static uint32_t mx_config_read(PCIDevice *pci, uint32_t addr, int len)
{
    return mx_fault_absent(MXACCEL(pci)) ? UINT32_MAX >> (32 - 8 * len) :
           pci_default_read_config(pci, addr, len);
}

static void mx_config_write(PCIDevice *pci, uint32_t addr, uint32_t value,
                            int len)
{
    if (mx_fault_absent(MXACCEL(pci))) {
        return;
    }
    pci_default_write_config(pci, addr, value, len);
    pcie_cap_flr_write_config(pci, addr, value, len);
    pcie_aer_write_config(pci, addr, value, len);
}

/* Power-on, bus reset and FLR. Models and counters stay. */
static void mx_reset_enter(Object *obj, ResetType type)
{
    MxState *s = MXACCEL(obj);

    trace_mxaccel_reset();
    s->rung = MX_RUNG_FUNCTION;
    mx_controller_stop(s);
    s->rung = MX_RUNG_ABORT;
    s->ctrl = 0;
    s->aqa = 0;
    s->asq = 0;
    s->acq = 0;
    memset(&s->window, 0, sizeof(s->window));
}

static void mx_reset_hold(MX_RESET_HOLD_ARGS(obj))
{
    pcie_cap_deverr_reset(PCI_DEVICE(obj));
}

static bool mx_check_properties(MxState *s, Error **errp)
{
    int isa = mx_isa_from_name(s->isa_name ? s->isa_name : "auto");

    if (mx_fidelity_from_name(s->fidelity ? s->fidelity : "exact") < 0) {
        error_setg(errp, "fidelity '%s' is not one of exact, analog",
                   s->fidelity);
        return false;
    }
    if (s->vectors < 1 || s->vectors > MX_MAX_VECTORS) {
        error_setg(errp, "vectors must be 1 to %d", MX_MAX_VECTORS);
        return false;
    }
    if (s->queues < 1 || s->queues > MXACCEL_IO_QUEUES) {
        error_setg(errp, "queues must be 1 to %d", MXACCEL_IO_QUEUES);
        return false;
    }
    if (s->threads > 64) {
        error_setg(errp, "threads must be 1 to 64, or 0 for one per CPU");
        return false;
    }
    if (isa < 0) {
        error_setg(errp, "isa '%s' is not one of auto, portable, avx2, avx512",
                   s->isa_name);
        return false;
    }
    if (!mx_isa_available(isa)) {
        error_setg(errp, "this host cannot run isa '%s'", s->isa_name);
        return false;
    }
    return true;
}

/* Switches the chip on, with the non-volatile area at hand. */
bool mx_power_on(MxState *s, Error **errp)
{
    const struct mx_chip_params params = {
        .threads = s->threads,
        .seed = s->seed,
        .isa = mx_isa_from_name(s->isa_name ? s->isa_name : "auto"),
        .fidelity = mx_fidelity_from_name(s->fidelity ? s->fidelity : "exact"),
        .age = s->age,
        .nv_fd = s->store_fd,
        .persist = mx_store_persist,
        .opaque = s,
    };
    char why[512] = "";

    s->chip = mx_chip_new(&s->config, &params, why, sizeof(why));
    if (!s->chip) {
        error_setg(errp, "%s%s%s: %s", s->store_file ? "store '" : "chip '",
                   s->store_file ? s->store_file : s->config.name, "'", why);
        return false;
    }
    if (mx_chip_dropped_models(s->chip)) {
        warn_report("mxaccel: store '%s': %u damaged models are dropped, their "
                    "cells are free", s->store_file,
                    mx_chip_dropped_models(s->chip));
    }
    trace_mxaccel_realize(s->config.name, mx_isa_name(mx_chip_isa(s->chip)),
                          s->nv_bytes);
    return true;
}

void mx_power_cycle(MxState *s)
{
    Error *err = NULL;

    g_clear_pointer(&s->chip, mx_chip_free);
    qatomic_set(&s->power_lost, false);
    s->age = 0; /* the clock is kept with the cells */
    if (!mx_power_on(s, &err)) {
        /* It has been on with this area, so it is the host that fails. */
        error_reportf_err(err, "mxaccel: cannot switch the chip on again: ");
        exit(1);
    }
}

static bool mx_add_capabilities(MxState *s, Error **errp)
{
    PCIDevice *pci = PCI_DEVICE(s);

    if (mx_pm_init(pci, MX_CAP_PM, errp) < 0) {
        return false;
    }
    if (pcie_endpoint_cap_init(pci, MX_CAP_EXPRESS) < 0) {
        error_setg(errp, "cannot add the PCI Express capability");
        return false;
    }
    pcie_cap_flr_init(pci);
    pcie_cap_deverr_init(pci);
    if (pcie_aer_init(pci, PCI_ERR_VER, MX_CAP_AER, PCI_ERR_SIZEOF, errp) < 0) {
        return false;
    }
    pcie_dev_ser_num_init(pci, MX_CAP_SERIAL, s->seed);
    if (msix_init(pci, s->vectors, &s->msix, MXACCEL_BAR_MSIX, 0, &s->msix,
                  MXACCEL_BAR_MSIX, MX_MSIX_PBA, MX_CAP_MSIX, errp) < 0) {
        return false;
    }
    for (uint32_t vector = 0; vector < s->vectors; vector++) {
        msix_vector_use(pci, vector);
    }
    return true;
}

/* Undoes mx_realize(), as far as it got. */
static void mx_exit(PCIDevice *pci)
{
    MxState *s = MXACCEL(pci);

    g_clear_pointer(&s->run_state, qemu_del_vm_change_state_handler);
    if (s->bh) {
        s->rung = MX_RUNG_REMOVAL;
        mx_controller_stop(s);
        mx_fault_exit(s);
    }
    mx_tasks_exit(s);
    mx_notify_exit(s);
    g_clear_pointer(&s->contexts, g_hash_table_destroy);
    g_clear_pointer(&s->programmings, g_hash_table_destroy);
    g_clear_pointer(&s->bounce, g_free);
    g_clear_pointer(&s->chip, mx_chip_free);
    mx_store_close(s);
    if (msix_present(pci)) {
        msix_unuse_all_vectors(pci);
        msix_uninit(pci, &s->msix, &s->msix);
    }
    if (pci->exp.aer_cap) {
        pcie_aer_exit(pci);
    }
    if (pci->exp.exp_cap) {
        pcie_cap_exit(pci);
    }
}

/*
 * A machine that waits for its state gets its cells with it: until then the
 * machine it comes from works on the store.
 */
static bool mx_first_power_on(MxState *s, Error **errp)
{
    return (s->store_file && runstate_check(RUN_STATE_INMIGRATE)) ||
           (mx_store_open(s, errp) && mx_power_on(s, errp));
}

/*
 * While the machine stands still nothing reaches it: its memory may be on its
 * way to another host.
 */
static void mx_run_state_changed(void *opaque, bool running, RunState state)
{
    MxState *s = opaque;
    Error *err = NULL;

    s->frozen = !running;
    if (!running) {
        return;
    }
    if (s->store_lent && !mx_store_lock(s, &err)) {
        error_reportf_err(err, "mxaccel: the chip stops, as its cells have "
                          "been handed over: ");
        mx_fatal(s, MXACCEL_FATAL_POWER);
        return;
    }
    s->store_lent = false;
    mx_tasks_go_on(s);
    qemu_bh_schedule(s->bh);
}

static void mx_realize(PCIDevice *pci, Error **errp)
{
    MxState *s = MXACCEL(pci);

    s->store_fd = -1;
    if (!pci_bus_is_express(pci_get_bus(pci))) {
        error_setg(errp, "mxaccel needs a PCI Express slot");
        return;
    }
    s->nr_counters = MXACCEL_CTR_NR;
    mx_regs_init(s);
    memory_region_init(&s->msix, OBJECT(s), "mxaccel-msix", MX_MSIX_BYTES);
    pci_register_bar(pci, MXACCEL_BAR_MSIX, PCI_BASE_ADDRESS_MEM_TYPE_64,
                     &s->msix);
    if (!mx_check_properties(s, errp) || !mx_chip_file_load(s, errp) ||
        !mx_first_power_on(s, errp) || !mx_add_capabilities(s, errp)) {
        mx_exit(pci);
        return;
    }
    s->contexts = g_hash_table_new(NULL, NULL);
    s->programmings = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    s->bounce = g_malloc(MX_BOUNCE_BYTES);
    s->rung = MX_RUNG_ABORT;
    mx_fault_init(s);
    mx_notify_init(s);
    mx_tasks_init(s);
    s->frozen = !runstate_is_running();
    s->run_state = qemu_add_vm_change_state_handler(mx_run_state_changed, s);
}

static MX_PROPERTY mx_properties[] = {
    DEFINE_PROP_STRING("chip", MxState, chip_file),
    DEFINE_PROP_STRING("store", MxState, store_file),
    DEFINE_PROP_STRING("isa", MxState, isa_name),
    DEFINE_PROP_UINT32("threads", MxState, threads, 0),
    DEFINE_PROP_UINT32("vectors", MxState, vectors, MX_NR_QUEUES),
    DEFINE_PROP_UINT32("queues", MxState, queues, MXACCEL_IO_QUEUES),
    DEFINE_PROP_BOOL("shadow", MxState, shadow, true),
    DEFINE_PROP_BOOL("coalescing", MxState, coalescing, true),
    DEFINE_PROP_UINT64("seed", MxState, seed, 1),
    DEFINE_PROP_STRING("fidelity", MxState, fidelity),
    DEFINE_PROP_BOOL("timing", MxState, timing, false),
    MX_PROPERTIES_END
};

static void mx_age_get(Object *obj, Visitor *v, const char *name, void *opaque,
                       Error **errp)
{
    MxState *s = MXACCEL(obj);
    uint32_t age = s->chip ? mx_chip_age(s->chip) : s->age;

    visit_type_uint32(v, name, &age, errp);
}

/* Before the device is there: what its chip's clock shows at power-on. */
static void mx_age_set(Object *obj, Visitor *v, const char *name, void *opaque,
                       Error **errp)
{
    MxState *s = MXACCEL(obj);
    char why[512];
    uint32_t age;

    if (!visit_type_uint32(v, name, &age, errp)) {
        return;
    }
    if (s->chip && mx_chip_set_age(s->chip, age, why, sizeof(why)) < 0) {
        error_setg(errp, "%s", why);
        return;
    }
    s->age = age;
}

static void mx_class_init(ObjectClass *klass, MX_CLASS_DATA *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(klass);
    ResettableClass *rc = RESETTABLE_CLASS(klass);

    pc->realize = mx_realize;
    pc->exit = mx_exit;
    pc->config_read = mx_config_read;
    pc->config_write = mx_config_write;
    pc->vendor_id = MXACCEL_PCI_VENDOR_ID;
    pc->device_id = MXACCEL_PCI_DEVICE_ID;
    pc->class_id = MXACCEL_PCI_CLASS;
    pc->revision = MXACCEL_VERSION_MAJOR;
    dc->vmsd = &mx_vmstate;
    rc->phases.enter = mx_reset_enter;
    rc->phases.hold = mx_reset_hold;
    dc->desc = "MX1 compute-in-memory accelerator";
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
    device_class_set_props(dc, mx_properties);
    mx_fault_class_init(klass);
    object_class_property_set_description(klass, "chip",
        "chip file: a path, or a name such as mx1");
    object_class_property_set_description(klass, "store",
        "file that holds the non-volatile cells");
    object_class_property_set_description(klass, "isa",
        "instruction set: auto, portable, avx2, avx512");
    object_class_property_set_description(klass, "threads",
        "threads a job runs on, 0: one per CPU");
    object_class_property_set_description(klass, "vectors",
        "MSI-X vectors");
    object_class_property_set_description(klass, "queues",
        "I/O queue pairs");
    object_class_property_set_description(klass, "shadow",
        "the chip can have shadow doorbells");
    object_class_property_set_description(klass, "coalescing",
        "the chip can coalesce interrupts");
    object_class_property_set_description(klass, "seed",
        "serial number, which is the seed of all randomness");
    object_class_property_set_description(klass, "fidelity",
        "how products are computed: exact, or analog as the cells do");
    object_class_property_add(klass, "age", "uint32", mx_age_get, mx_age_set,
                              NULL, NULL);
    object_class_property_set_description(klass, "age",
        "the chip's clock in seconds, for fidelity=analog; goes forward only");
    object_class_property_set_description(klass, "timing",
        "jobs complete at their modelled time on the guest's clock");
}

static const TypeInfo mx_type = {
    .name = TYPE_MXACCEL,
    .parent = TYPE_PCI_DEVICE,
    .instance_size = sizeof(MxState),
    .class_init = mx_class_init,
    .interfaces = (InterfaceInfo[]) {
        { INTERFACE_PCIE_DEVICE },
        { },
    },
};

static void mx_register(void)
{
    type_register_static(&mx_type);
}

type_init(mx_register)
