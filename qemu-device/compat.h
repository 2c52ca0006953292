/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU 7.2 to 10.2: what moved or changed its type between them. Nothing else
 * in the device looks at QEMU's version.
 */
#ifndef HW_MXACCEL_COMPAT_H
#define HW_MXACCEL_COMPAT_H

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "migration/vmstate.h"
#include "migration/qemu-file-types.h"
#include "hw/pci/pci.h"
#include "hw/pci/msix.h"
#include "hw/pci/pcie.h"
#include "hw/pci/pcie_aer.h"

/* 8.0 split pci.h, 10.0 renamed sysemu/, 11.0 moves qdev's headers. */
#if __has_include("hw/pci/pci_device.h")
#include "hw/pci/pci_device.h"
#endif
#if __has_include("system/dma.h")
#include "system/dma.h"
#else
#include "sysemu/dma.h"
#endif
#if __has_include("system/runstate.h")
#include "system/runstate.h"
#else
#include "sysemu/runstate.h"
#endif
#if __has_include("hw/core/qdev-properties.h")
#include "hw/core/qdev-properties.h"
#else
#include "hw/qdev-properties.h"
#endif
#if __has_include("hw/core/resettable.h")
#include "hw/core/resettable.h"
#else
#include "hw/resettable.h"
#endif

#define MX_QEMU_SINCE(major, minor) \
    (QEMU_VERSION_MAJOR > (major) || \
     (QEMU_VERSION_MAJOR == (major) && QEMU_VERSION_MINOR >= (minor)))

/* Property lists lost their end marker and became const. */
#if MX_QEMU_SINCE(10, 0)
#define MX_PROPERTY const Property
#define MX_PROPERTIES_END
#else
#define MX_PROPERTY Property
#define MX_PROPERTIES_END DEFINE_PROP_END_OF_LIST(),
#endif

#if MX_QEMU_SINCE(10, 1)
#define MX_CLASS_DATA const void
#else
#define MX_CLASS_DATA void
#endif

/* The hold phase learnt the type of reset. */
#if MX_QEMU_SINCE(9, 1)
#define MX_RESET_HOLD_ARGS(obj) Object *obj, ResetType type
#else
#define MX_RESET_HOLD_ARGS(obj) Object *obj
#endif

static inline int mx_pm_init(PCIDevice *pci, uint8_t offset, Error **errp)
{
#if MX_QEMU_SINCE(10, 0)
    return pci_pm_init(pci, offset, errp);
#else
    int at = pci_add_capability(pci, PCI_CAP_ID_PM, offset, PCI_PM_SIZEOF,
                                errp);

    if (at >= 0) {
        pci_set_word(pci->config + at + PCI_PM_PMC, PCI_PM_CAP_VER_1_2);
        pci_set_word(pci->wmask + at + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK);
    }
    return at;
#endif
}

#endif /* HW_MXACCEL_COMPAT_H */
