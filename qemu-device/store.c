/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MX1: what the chip takes from the host's files: the chip file, and the file
 * behind the non-volatile area.
 */
#include "mxaccel.h"
#include <sys/file.h>
#include <sys/mman.h>
#include <openssl/sha.h>
#include "qemu/cutils.h"
#include "qemu/datadir.h"

/* A chip file is never larger; a mistaken path could be. */
#define MX_CHIP_FILE_BYTES  (1024 * 1024)

/* Where chip "name" lies; NULL if it does not lie anywhere. */
static char *mx_chip_file_find(const char *name)
{
    const char *dir = getenv("MXACCEL_CHIP_DIR");
    g_autofree char *file = g_strdup_printf("%s.ini", name);
    g_autofree char *shared = g_strdup_printf("mxaccel/%s.ini", name);
    char *path;

    if (dir) {
        path = g_build_filename(dir, file, NULL);
        if (g_file_test(path, G_FILE_TEST_EXISTS)) {
            return path;
        }
        g_free(path);
    }
    return qemu_find_file(QEMU_FILE_TYPE_BIOS, shared);
}

/* The chip's name in reports: the file's, without folder and ".ini". */
static char *mx_chip_name(const char *path)
{
    char *name = g_path_get_basename(path);

    if (g_str_has_suffix(name, ".ini")) {
        name[strlen(name) - strlen(".ini")] = '\0';
    }
    return name;
}

bool mx_chip_file_load(MxState *s, Error **errp)
{
    const char *chip = s->chip_file ? s->chip_file : "mx1";
    g_autofree char *path = NULL, *name = NULL, *text = NULL;
    g_autofree char *why = g_malloc0(512);
    g_autoptr(GError) gerr = NULL;
    struct stat st;
    gsize bytes;

    if (strchr(chip, '/') || g_str_has_suffix(chip, ".ini")) {
        path = g_strdup(chip);
    } else {
        path = mx_chip_file_find(chip);
    }
    if (!path) {
        error_setg(errp, "no chip file '%s.ini' in $MXACCEL_CHIP_DIR (%s) or "
                   "in 'mxaccel' of QEMU's data folders; chip= also takes a "
                   "path", chip, getenv("MXACCEL_CHIP_DIR") ?: "not set");
        return false;
    }
    if (stat(path, &st) < 0) {
        error_setg_errno(errp, errno, "chip file '%s'", path);
        return false;
    }
    if (!S_ISREG(st.st_mode) || st.st_size > MX_CHIP_FILE_BYTES) {
        error_setg(errp, "chip file '%s' is no regular file of at most %d "
                   "bytes", path, MX_CHIP_FILE_BYTES);
        return false;
    }
    if (!g_file_get_contents(path, &text, &bytes, &gerr)) {
        error_setg(errp, "chip file: %s", gerr->message);
        return false;
    }
    name = mx_chip_name(path);
    SHA256((const unsigned char *)text, bytes, s->chip_digest);
    if (mx_chip_config_parse(&s->config, name, text, bytes, why, 512) < 0) {
        error_setg(errp, "chip file '%s': %s", path, why);
        return false;
    }
    return true;
}

/* Locks the store against other machines; it is unlocked by closing it. */
bool mx_store_lock(MxState *s, Error **errp)
{
    if (flock(s->store_fd, LOCK_EX | LOCK_NB) == 0) {
        return true;
    }
    if (errno == EWOULDBLOCK) {
        error_setg(errp, "store '%s' is in use by another device or virtual "
                   "machine", s->store_file);
    } else {
        error_setg_errno(errp, errno, "cannot lock store '%s'", s->store_file);
    }
    return false;
}

/*
 * Gives the store all its blocks: programming never meets a full file system,
 * and the directory, which is written through a mapping, would end QEMU with
 * SIGBUS there.
 */
static bool mx_store_reserve(MxState *s, Error **errp)
{
    int err;

    do {
        err = posix_fallocate(s->store_fd, 0, s->nv_bytes);
    } while (err == EINTR);
    if (!err) {
        return true;
    }
    error_setg_errno(errp, err, "cannot reserve the %" PRIu64 " bytes of "
                     "store '%s' on its file system", s->nv_bytes,
                     s->store_file);
    return false;
}

/* Opens the store, or makes a new one, which is a chip fresh from the fab. */
static bool mx_store_open_file(MxState *s, Error **errp)
{
    struct stat st;
    bool fresh;

    s->store_fd = open(s->store_file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
                       0600);
    fresh = s->store_fd >= 0;
    if (!fresh && errno == EEXIST) {
        s->store_fd = open(s->store_file, O_RDWR | O_CLOEXEC);
    }
    if (s->store_fd < 0) {
        error_setg_errno(errp, errno, "cannot open store '%s'", s->store_file);
        return false;
    }
    if (!mx_store_lock(s, errp)) {
        return false;
    }
    if (fresh) {
        if (mx_store_reserve(s, errp)) {
            return true;
        }
        unlink(s->store_file);
        return false;
    }
    if (fstat(s->store_fd, &st) < 0) {
        error_setg_errno(errp, errno, "store '%s'", s->store_file);
        return false;
    }
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != s->nv_bytes) {
        error_setg(errp, "store '%s' has %" PRIu64 " bytes, but chip '%s' "
                   "needs a file of %" PRIu64 ": it is truncated, or belongs "
                   "to another chip or version", s->store_file, (uint64_t)st.st_size,
                   s->config.name, s->nv_bytes);
        return false;
    }
    /* One that was copied or made by an older version may have holes. */
    return mx_store_reserve(s, errp);
}

/* Cells that last as long as the device. */
static bool mx_store_open_memory(MxState *s, Error **errp)
{
    s->store_fd = memfd_create("mxaccel-cells", MFD_CLOEXEC);
    if (s->store_fd < 0 || ftruncate(s->store_fd, s->nv_bytes) < 0) {
        error_setg_errno(errp, errno, "cannot get %" PRIu64 " bytes of memory "
                         "for the cells", s->nv_bytes);
        return false;
    }
    return true;
}

void mx_store_lend(MxState *s)
{
    if (s->store_file && !s->store_lent) {
        qemu_fdatasync(s->store_fd);
        flock(s->store_fd, LOCK_UN);
        s->store_lent = true;
    }
}

bool mx_store_open(MxState *s, Error **errp)
{
    s->nv_bytes = mx_chip_nv_bytes(&s->config);
    return s->store_file ? mx_store_open_file(s, errp) :
           mx_store_open_memory(s, errp);
}

void mx_store_close(MxState *s)
{
    if (s->store_fd >= 0) {
        close(s->store_fd);
        s->store_fd = -1;
    }
}

/*
 * Called by the chip, on any thread. The whole file, as there is no portable
 * way to make a part of it durable with what the file system needs to find it;
 * what is clean costs nothing.
 */
int mx_store_persist(void *opaque, uint64_t offset, uint64_t bytes)
{
    MxState *s = opaque;

    if (mx_fault_power_lost(s)) {
        return -EIO;
    }
    return s->store_file && qemu_fdatasync(s->store_fd) < 0 ? -errno : 0;
}
