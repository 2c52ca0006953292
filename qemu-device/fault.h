/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MX1: what can be made to go wrong, for tests of drivers. Each fault is a
 * property of the device, 0 at first, that is read and written at run time by
 * qom-get and qom-set. Documentation/qemu-device.rst has this list.
 */
#ifndef HW_MXACCEL_FAULT_H
#define HW_MXACCEL_FAULT_H

/*
 * Name, property, greatest value, meaning. "Next n" ones count down as they
 * strike, so that reading tells how many are left.
 */
#define MX_FAULTS(X) \
    X(DROP, "fault-drop", UINT32_MAX, \
      "next n completions are lost: neither entry nor interrupt") \
    X(DUPLICATE, "fault-duplicate", UINT32_MAX, \
      "next n completions are written twice") \
    X(DELAY, "fault-delay", UINT32_MAX, \
      "next n completions come fault-delay-ms later") \
    X(DELAY_MS, "fault-delay-ms", 3600000, \
      "how much later, on the guest's clock") \
    X(STATUS, "fault-status", UINT32_MAX, \
      "next n completions have a status that does not exist") \
    X(PHASE, "fault-phase", UINT32_MAX, \
      "next n completions have the phase tag of the round before") \
    X(ID, "fault-id", UINT32_MAX, \
      "next n completions name a command that is not in flight") \
    X(QUEUES, "fault-queues", (1u << MX_NR_QUEUES) - 1, \
      "queue pairs that the faults above strike, a bit for each; 0: all but the admin pair") \
    X(STALL, "fault-stall", (1u << MX_NR_QUEUES) - 1, \
      "queue pairs from which nothing is fetched, a bit for each") \
    X(LOST_IRQ, "fault-lost-irq", UINT32_MAX, \
      "next n interrupts are not raised") \
    X(FLOOD, "fault-flood", UINT32_MAX, \
      "each vector is raised n times without reason, every 50 us") \
    X(HANG, "fault-hang", UINT32_MAX, \
      "next n jobs never end by themselves") \
    X(HANG_UNTIL, "fault-hang-until", 5, \
      "what ends them: 0 their deadline, 1 ABORT, 2 DELETE_QP or CTX_DESTROY, 3 CTRL.EN, 4 a reset of the function, 5 removal; and all that comes later in this list") \
    X(DMA, "fault-dma", UINT32_MAX, \
      "next n accesses to host memory fail, those to queue entries excepted") \
    X(DMA_QUEUE, "fault-dma-queue", UINT32_MAX, \
      "next n accesses to queue entries fail, which is fatal") \
    X(MEMORY, "fault-memory", UINT32_MAX, \
      "next n jobs end with MEMORY_ERROR") \
    X(AER, "fault-aer", 3, \
      "reports an error by AER: 1 a correctable, 2 a non-fatal, 3 a fatal one; reads as 0") \
    X(ALL_ONES, "fault-all-ones", 1, \
      "while it is 1 all reads give all ones, writes do nothing, and nothing reaches the host") \
    X(REMOVE, "fault-remove", 1, \
      "1: the device is pulled out of its hot-plug slot, without notice") \
    X(STUCK, "fault-stuck", UINT32_MAX, \
      "the n free chunks that would be programmed next get too many stuck cells, until power-on; reads as 0") \
    X(POWER_CUT, "fault-power-cut", UINT32_MAX, \
      "the chip loses power at the n-th time from now that it makes cells durable: a fatal error; a reset switches it on again")

typedef enum MxFault {
#define MX_X(name, property, max, text) MX_FAULT_##name,
    MX_FAULTS(MX_X)
#undef MX_X
    MX_NR_FAULTS
} MxFault;

/* What ends a hung job: values of fault-hang-until. */
typedef enum MxRung {
    MX_RUNG_DEADLINE,
    MX_RUNG_ABORT,
    MX_RUNG_QUEUE,
    MX_RUNG_CONTROLLER,
    MX_RUNG_FUNCTION,
    MX_RUNG_REMOVAL,
} MxRung;

#endif /* HW_MXACCEL_FAULT_H */
