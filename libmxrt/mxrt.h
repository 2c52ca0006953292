/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * DOC: mxrt.h - runtime of MX1 in-memory transformer accelerators
 *
 * Open a device, open a model image, load it, infer:
 *
 *	struct mxrt_device *dev;
 *	struct mxrt_image *image;
 *	struct mxrt_model *model;
 *	struct mxrt_infer_params job = { .size = sizeof(job), .entry = "sentence", ... };
 *
 *	if (mxrt_open(NULL, NULL, &dev) || mxrt_image_open("model.mxw", 0, &image) ||
 *	    mxrt_load(dev, image, NULL, &model) || mxrt_infer(model, &job, NULL))
 *		errx(1, "%s", mxrt_last_error());
 *
 * Conventions:
 *
 * - Calls that can fail return 0 (or a count) or a negative errno;
 *   mxrt_last_error() then says in a sentence what failed, with the values,
 *   and what to do about it. -EINVAL: a bad argument, also a NULL pointer.
 *   -ENODEV: the device is gone or was reset; close and open it again.
 * - Parameter structs start with their size, set to sizeof(struct) by the
 *   caller; zero the rest. An old program works with a newer library and, as
 *   long as it uses no new field, a new program with an older one (-E2BIG).
 *   Structs that a call fills get their size field set to what was filled.
 *   A NULL parameter struct stands for one with all fields zero.
 * - Handles keep what they depend on alive: a model its device, a queue its
 *   device. Each must be freed once; NULL may be freed. An image may be
 *   closed as soon as it is loaded.
 * - The library prints nothing, starts no thread (the chip model of a "sim:"
 *   device runs its own pool), calls neither exit() nor abort(), and has no
 *   global state. Handles must not be used by a child after fork().
 */
#ifndef MXRT_H
#define MXRT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MXRT_VERSION_MAJOR	0
#define MXRT_VERSION_MINOR	1
#define MXRT_VERSION_PATCH	0
#define MXRT_VERSION \
	(MXRT_VERSION_MAJOR << 16 | MXRT_VERSION_MINOR << 8 | MXRT_VERSION_PATCH)

struct mxrt_device;
struct mxrt_image;
struct mxrt_model;
struct mxrt_buffer;
struct mxrt_queue;

/* ------------------------------------------------- version and errors */

/**
 * mxrt_version() - version of the library in use
 *
 * MXRT_VERSION is the one the program was compiled with.
 * Thread safety: any thread.
 *
 * Return: major << 16 | minor << 8 | patch.
 */
unsigned int mxrt_version(void);

/**
 * mxrt_strerror() - short text for an error
 * @err:	negative: a return value of this library. Positive: a status of
 *		the chip, as in struct mxrt_result (enum mxaccel_status of
 *		mxaccel_hw.h). Zero: success.
 *
 * Thread safety: any thread.
 *
 * Return: constant text, never NULL.
 */
const char *mxrt_strerror(int err);

/**
 * mxrt_last_error() - sentence about the last call that failed on this thread
 *
 * Valid until the next failing call on the same thread. Calls that succeed
 * leave it alone.
 * Thread safety: any thread; each has its own.
 *
 * Return: text, "" if no call has failed yet, never NULL.
 */
const char *mxrt_last_error(void);

/* ------------------------------------------------------------ devices */

/**
 * struct mxrt_found - a device node, by mxrt_enumerate()
 * @path:	"/dev/mxaccel0", NUL-terminated
 * @pci:	PCI address "0000:00:03.0", "" if unknown, NUL-terminated
 * @rsvd:	zero
 */
struct mxrt_found {
	char path[64];
	char pci[32];
	uint64_t rsvd[4];
};

/**
 * mxrt_enumerate() - list the accelerators of this machine
 * @list:	filled, lowest device number first; may be NULL if *@count is 0
 * @count:	in: room at @list, in entries; out: devices there are, maybe more
 *
 * Thread safety: any thread.
 *
 * Return: 0 or negative errno.
 */
int mxrt_enumerate(struct mxrt_found *list, size_t *count);

/**
 * struct mxrt_watch - watch a chip model work
 * @op:		called before (@done 0) and after (@done 1) each macro-op of a job
 *		with its name, as "MATMUL" or "MATMUL_DYN QK", on the thread that
 *		runs the job; jobs of a device run one at a time
 * @opaque:	for @op
 *
 * The time between the two calls is the host's, not the modelled chip's.
 */
struct mxrt_watch {
	void (*op)(void *opaque, const char *name, int done);
	void *opaque;
};

/**
 * struct mxrt_open_params - options of mxrt_open()
 * @size:	sizeof(struct)
 * @flags:	zero
 * @threads:	sim: only; the chip's worker threads, 1 to 64; 0: one per CPU
 * @rsvd:	zero
 * @seed:	sim: only; the chip's serial number
 * @isa:	sim: only; instruction set, "auto" (also NULL), "portable",
 *		"avx2" or "avx512". The results do not depend on it.
 * @watch:	sim: only; NULL, or what must stay as long as the device is open
 *
 * Options in the device name win over these.
 */
struct mxrt_open_params {
	uint32_t size;
	uint32_t flags;
	uint32_t threads;
	uint32_t rsvd;
	uint64_t seed;
	const char *isa;
	const struct mxrt_watch *watch;
};

/**
 * mxrt_open() - open a device
 * @name:	NULL: the first /dev/mxaccelN. A path: "/dev/mxaccel0". A PCI
 *		address: "0000:00:03.0". A chip model in this process:
 *		"sim:mx1" (a chip file by name, looked for in the directory
 *		$MXACCEL_CHIP_DIR if that is set, else in the installed one) or
 *		"sim:/path/chip.ini", with options after it, for example
 *		"sim:mx1,threads=2,isa=avx2,seed=7". fidelity=analog computes
 *		as the crossbars of an in-place or traditional chip do, with
 *		their converters and cell effects; the default is exact.
 * @params:	options, or NULL
 * @out:	the device
 *
 * The simulator is never picked unless it is named. Each call makes a context
 * of its own: others' models are shared, buffers and counters are not. A
 * "sim:" device starts empty, lives in this process and ends with it.
 * Thread safety: any thread.
 *
 * Return: 0; -ENOENT no such device or chip file; -EACCES; -ENODEV gone;
 * -EINVAL bad name or option; -EPROTONOSUPPORT driver too old; -ENOMEM.
 */
int mxrt_open(const char *name, const struct mxrt_open_params *params,
	      struct mxrt_device **out);

/**
 * mxrt_close() - close a device
 * @dev:	device or NULL
 *
 * Models, buffers and queues of it that still exist keep it in use until
 * they are freed.
 * Thread safety: any thread; no other call may be using this reference.
 */
void mxrt_close(struct mxrt_device *dev);

#define MXRT_PLATFORM_SIM	0	/* chip model in this process */
#define MXRT_PLATFORM_QEMU	1
#define MXRT_PLATFORM_SILICON	2

/**
 * struct mxrt_device_info - what a device is
 * @size:	in: sizeof(struct); out: bytes filled
 * @platform:	MXRT_PLATFORM_*
 * @name:	"/dev/mxaccel0" or "sim:mx1"; strings are NUL-terminated
 * @backend:	"device" or "sim"
 * @chip:	name of the chip, e.g. "mx1"
 * @organisation: of its silicon, e.g. "synergy"
 * @isa:	sim: instruction set in use, else ""
 * @serial:	serial number
 * @capacity_bytes: storage for models
 * @free_bytes:	free part of it
 * @clock_khz:	clock, to turn cycles into time
 * @nr_models:	resident models
 * @max_models:	models that can be resident
 * @queue_depth: jobs that can be in flight
 * @max_io_bytes: bytes that one job can read, and can write
 */
struct mxrt_device_info {
	uint32_t size;
	uint32_t platform;
	char name[96];
	char backend[16];
	char chip[32];
	char organisation[32];
	char isa[16];
	uint64_t serial;
	uint64_t capacity_bytes;
	uint64_t free_bytes;
	uint32_t clock_khz;
	uint32_t nr_models;
	uint32_t max_models;
	uint32_t queue_depth;
	uint64_t max_io_bytes;
};

/**
 * mxrt_query() - describe a device
 * @dev:	device
 * @info:	filled; @info->size says how much room there is
 *
 * Thread safety: any thread.
 *
 * Return: 0 or negative errno.
 */
int mxrt_query(struct mxrt_device *dev, struct mxrt_device_info *info);

/**
 * struct mxrt_value - a named number
 * @name:	as in sysfs, e.g. "macs_static"; constant
 * @text:	what it means; constant
 * @value:	the number
 */
struct mxrt_value {
	const char *name;
	const char *text;
	uint64_t value;
};

/**
 * mxrt_chip_values() - the geometry of a chip, number by number
 * @dev:	device
 * @list:	filled; may be NULL if *@count is 0
 * @count:	in: room at @list, in entries; out: values there are, maybe more
 *
 * Thread safety: any thread.
 *
 * Return: 0 or negative errno.
 */
int mxrt_chip_values(struct mxrt_device *dev, struct mxrt_value *list, size_t *count);

#define MXRT_SCOPE_DEVICE	0	/* everything since power-on */
#define MXRT_SCOPE_HANDLE	1	/* what this mxrt_open() did */
#define MXRT_SCOPE_MODEL	2	/* jobs of one model since power-on, of all users */

/**
 * mxrt_counters() - read the chip's counters, all at one moment
 * @dev:	device
 * @scope:	MXRT_SCOPE_*
 * @model:	model of @dev for MXRT_SCOPE_MODEL, else NULL
 * @list:	filled; may be NULL if *@count is 0
 * @count:	in: room at @list, in entries; out: counters there are, maybe more
 *
 * Thread safety: any thread.
 *
 * Return: 0 or negative errno.
 */
int mxrt_counters(struct mxrt_device *dev, unsigned int scope, const struct mxrt_model *model,
		  struct mxrt_value *list, size_t *count);

/**
 * mxrt_health() - wear and faults of a chip's non-volatile cells
 * @dev:	device
 * @list:	filled, named as in the folder health/ of sysfs; may be NULL if
 *		*@count is 0
 * @count:	in: room at @list, in entries; out: values there are, maybe more
 *
 * Thread safety: any thread.
 *
 * Return: 0; -EOPNOTSUPP driver or chip are older; other negative errno.
 */
int mxrt_health(struct mxrt_device *dev, struct mxrt_value *list, size_t *count);

/* ------------------------------------------------------- model images */

#define MXRT_IMAGE_VERIFY	0x1	/* check the weights' digest too */

/**
 * mxrt_image_open() - open a model image (.mxw)
 * @path:	file
 * @flags:	MXRT_IMAGE_*
 * @out:	the image
 *
 * Checks everything but the weights, whose digest is checked by
 * mxrt_image_verify(), and by the chip when it is programmed. The file is mapped and must not be
 * written to or truncated while the image is open (replacing it by rename() is
 * fine).
 * Needs no device.
 * Thread safety: any thread.
 *
 * Return: 0; -ENOENT, -EACCES and so on from opening the file; -EBADMSG
 * truncated or damaged; -EPROTONOSUPPORT unknown version or feature bit;
 * -EINVAL not an image; -ENOMEM.
 */
int mxrt_image_open(const char *path, unsigned int flags, struct mxrt_image **out);

/**
 * mxrt_image_open_memory() - open a model image that is in memory
 * @data:	contents of the file, 8-byte aligned; used until mxrt_image_close()
 * @bytes:	their size
 * @flags:	MXRT_IMAGE_*
 * @out:	the image
 *
 * Thread safety: any thread.
 *
 * Return: as mxrt_image_open().
 */
int mxrt_image_open_memory(const void *data, size_t bytes, unsigned int flags,
			   struct mxrt_image **out);

/**
 * mxrt_image_verify() - check the digest of the weights
 * @image:	image
 *
 * Thread safety: any thread.
 *
 * Return: 0 or -EBADMSG.
 */
int mxrt_image_verify(const struct mxrt_image *image);

/**
 * mxrt_image_close() - close an image
 * @image:	image or NULL
 *
 * Thread safety: any thread; no other call may be using the image.
 */
void mxrt_image_close(struct mxrt_image *image);

/**
 * struct mxrt_image_info - what an image holds
 * @size:	in: sizeof(struct); out: bytes filled
 * @major:	layout version
 * @minor:	layout version
 * @nr_entries:	program entries
 * @vocab:	token ids are 1 to @vocab - 1; 0 is padding
 * @max_tokens:	longest sequence
 * @has_tokenizer: 1 if mxrt_tokenize() works with it
 * @nr_ops:	macro-ops of all entries
 * @rsvd:	zero
 * @file_bytes:	size of the file
 * @program_bytes: size of the program (MODEL section)
 * @params_bytes: size of the weights (PARAMS section)
 * @content:	content id: what makes a resident model the same one
 * @name:	of the model; strings are NUL-terminated and live with the image
 * @chip:	chip it was mapped for
 * @builder:	program that wrote it
 * @card:	model card, JSON text, not NUL-terminated; NULL if there is none
 * @card_bytes:	its length
 */
struct mxrt_image_info {
	uint32_t size;
	uint16_t major;
	uint16_t minor;
	uint32_t nr_entries;
	uint32_t vocab;
	uint32_t max_tokens;
	uint32_t has_tokenizer;
	uint32_t nr_ops;
	uint32_t rsvd;
	uint64_t file_bytes;
	uint64_t program_bytes;
	uint64_t params_bytes;
	uint8_t content[32];
	const char *name;
	const char *chip;
	const char *builder;
	const char *card;
	uint64_t card_bytes;
};

/**
 * mxrt_image_info() - describe an image
 * @image:	image
 * @info:	filled; @info->size says how much room there is
 *
 * Thread safety: any thread.
 *
 * Return: 0 or negative errno.
 */
int mxrt_image_info(const struct mxrt_image *image, struct mxrt_image_info *info);

#define MXRT_INT32		1	/* little-endian, as the host's int32_t */
#define MXRT_FLOAT32		2	/* IEEE binary32, as the host's float */

#define MXRT_DIM_SEQ		(-1)	/* sequences of the job */
#define MXRT_DIM_TOKENS		(-2)	/* tokens per sequence of the job */

/**
 * struct mxrt_tensor - input or output of an entry, C order, no gaps
 * @dtype:	MXRT_INT32 or MXRT_FLOAT32, 4 bytes each
 * @nr_dims:	dimensions
 * @dim:	their sizes; negative: MXRT_DIM_*, given by the job
 */
struct mxrt_tensor {
	uint32_t dtype;
	uint32_t nr_dims;
	int64_t dim[4];
};

/**
 * struct mxrt_entry_info - a program of a model
 * @size:	in: sizeof(struct); out: bytes filled
 * @index:	of the entry
 * @name:	e.g. "tokens" (an embedding per token, zeros after a sequence's
 *		last token) or "sentence" (one per sequence), NUL-terminated
 * @input:	int32 [sequences, tokens], 0 being padding
 * @output:	float32
 * @nr_ops:	macro-ops
 * @rsvd:	zero
 */
struct mxrt_entry_info {
	uint32_t size;
	uint32_t index;
	char name[32];
	struct mxrt_tensor input;
	struct mxrt_tensor output;
	uint32_t nr_ops;
	uint32_t rsvd;
};

/**
 * mxrt_image_entry() - describe a program entry
 * @image:	image
 * @index:	of the entry, less than mxrt_image_info.nr_entries
 * @info:	filled; @info->size says how much room there is
 *
 * Thread safety: any thread.
 *
 * Return: 0; -ENOENT no such entry; -EINVAL.
 */
int mxrt_image_entry(const struct mxrt_image *image, unsigned int index,
		     struct mxrt_entry_info *info);

/**
 * mxrt_image_find_entry() - index of a program entry by its name
 * @image:	image
 * @name:	of the entry
 *
 * Thread safety: any thread.
 *
 * Return: index, or -ENOENT.
 */
int mxrt_image_find_entry(const struct mxrt_image *image, const char *name);

/**
 * struct mxrt_op_info - a macro-op of an entry
 * @size:	in: sizeof(struct); out: bytes filled
 * @index:	of the macro-op in its entry
 * @name:	"EMBED", "MATMUL", "MATMUL_DYN QK", NUL-terminated
 * @layer:	layer of the model it belongs to, -1 outside of layers
 * @k:		length of its dot products, or its columns
 * @n:		output columns, or rows of its table; 0 if it has neither
 * @heads:	attention heads, 0 if it has none
 */
struct mxrt_op_info {
	uint32_t size;
	uint32_t index;
	char name[24];
	int32_t layer;
	uint32_t k;
	uint32_t n;
	uint32_t heads;
};

/**
 * mxrt_image_op() - describe a macro-op
 * @image:	image
 * @entry:	index of the program entry
 * @index:	of the macro-op, less than mxrt_entry_info.nr_ops
 * @info:	filled; @info->size says how much room there is
 *
 * Thread safety: any thread.
 *
 * Return: 0; -ENOENT no such entry or macro-op; -EINVAL.
 */
int mxrt_image_op(const struct mxrt_image *image, unsigned int entry, unsigned int index,
		  struct mxrt_op_info *info);

/**
 * mxrt_tokenize() - turn text into token ids, with the image's tokenizer
 * @image:	image
 * @text:	UTF-8, NUL-terminated
 * @ids:	filled: [CLS], the text's tokens, [SEP], then zeros up to @max_ids.
 *		What does not fit is cut off before [SEP].
 * @max_ids:	room at @ids, at least 2
 * @nr_ids:	out, may be NULL: ids that the whole text takes, with [CLS] and
 *		[SEP]; more than @max_ids if it was cut
 *
 * Thread safety: any thread.
 *
 * Return: 0; -EILSEQ invalid UTF-8; -ENODATA the image has no tokenizer;
 * -EINVAL; -ENOMEM.
 */
int mxrt_tokenize(const struct mxrt_image *image, const char *text,
		  int32_t *ids, size_t max_ids, size_t *nr_ids);

/**
 * mxrt_image_token() - text of a token
 * @image:	image
 * @id:		token id
 * @text:	out: UTF-8, not NUL-terminated, lives with the image
 * @bytes:	out: its length
 *
 * Thread safety: any thread.
 *
 * Return: 0; -ENODATA the image has no vocabulary; -EDOM no text for @id.
 */
int mxrt_image_token(const struct mxrt_image *image, int32_t id,
		     const char **text, size_t *bytes);

/* ------------------------------------------------------------- models */

#define MXRT_LOAD_RESIDENT	0x1	/* do not program: -ENOENT unless resident */

/**
 * struct mxrt_load_params - options of mxrt_load()
 * @size:	sizeof(struct)
 * @flags:	MXRT_LOAD_*
 */
struct mxrt_load_params {
	uint32_t size;
	uint32_t flags;
};

/**
 * mxrt_load() - make a model resident and usable
 * @dev:	device
 * @image:	image; not needed any more when the call returns
 * @params:	options, or NULL
 * @out:	the model
 *
 * A model of the same content that is resident already is used as it is, without
 * a look at the image's weights. Otherwise it is programmed into
 * non-volatile cells, atomically: if anything fails nothing of it stays. Chunks of
 * 64 KiB whose content a resident model has are shared with it, not programmed;
 * mxrt_model_info() tells how many. The chip checks the digest of what it then holds.
 * Thread safety: any thread.
 *
 * Return: 0; -ENOSPC not enough free cells or model slots; -EFBIG larger than
 * the chip; -EBADMSG damaged weights; -EPROTONOSUPPORT needs a newer chip;
 * -EINVAL malformed program; -ENOENT see MXRT_LOAD_RESIDENT; -EINTR; -ENODEV.
 */
int mxrt_load(struct mxrt_device *dev, const struct mxrt_image *image,
	      const struct mxrt_load_params *params, struct mxrt_model **out);

/**
 * struct mxrt_model_info - a loaded model
 * @size:	in: sizeof(struct); out: bytes filled
 * @id:		slot in the chip's directory
 * @programmed:	1 if mxrt_load() programmed cells, 0 if it was resident already
 * @nr_entries:	program entries
 * @vocab:	token ids are 1 to @vocab - 1; 0 is padding
 * @max_tokens:	longest sequence
 * @content:	content id
 * @name:	of the model, NUL-terminated
 * @programmed_bytes: sent to the chip by mxrt_load(); less than the model's size if
 *		chunks were shared
 * @reused_chunks: chunks of 64 KiB shared with models that were resident
 * @rsvd:	zero
 */
struct mxrt_model_info {
	uint32_t size;
	uint32_t id;
	uint32_t programmed;
	uint32_t nr_entries;
	uint32_t vocab;
	uint32_t max_tokens;
	uint8_t content[32];
	char name[48];
	uint64_t programmed_bytes;
	uint32_t reused_chunks;
	uint32_t rsvd;
};

/**
 * mxrt_model_info() - describe a loaded model
 * @model:	model
 * @info:	filled; @info->size says how much room there is
 *
 * Thread safety: any thread.
 *
 * Return: 0 or negative errno.
 */
int mxrt_model_info(const struct mxrt_model *model, struct mxrt_model_info *info);

/**
 * mxrt_model_find_entry() - index of a program entry by its name
 * @model:	model
 * @name:	of the entry
 *
 * Thread safety: any thread.
 *
 * Return: index, or -ENOENT.
 */
int mxrt_model_find_entry(const struct mxrt_model *model, const char *name);

/**
 * mxrt_out_bytes() - size of a result
 * @model:	model
 * @entry:	index of the program entry
 * @nr_seq:	sequences
 * @tokens:	ids per sequence
 * @bytes:	out
 *
 * Thread safety: any thread.
 *
 * Return: 0; -ENOENT no such entry; -EINVAL zero sequences or tokens;
 * -E2BIG more tokens than the model takes; -EOVERFLOW.
 */
int mxrt_out_bytes(const struct mxrt_model *model, unsigned int entry,
		   size_t nr_seq, size_t tokens, size_t *bytes);

/**
 * mxrt_unload() - give up the use of a model
 * @model:	model or NULL
 *
 * It stays resident. Jobs of a queue that use it must have been reaped.
 * Thread safety: any thread; no other call may be using the model.
 */
void mxrt_unload(struct mxrt_model *model);

/**
 * struct mxrt_resident - a model in the chip's cells, by mxrt_models()
 * @id:		slot in the chip's directory
 * @users:	contexts that use it now
 * @content:	content id
 * @name:	NUL-terminated
 * @program_bytes: size of the program
 * @params_bytes: size of the weights
 * @cells:	non-volatile cells it takes
 * @age:	seconds since they were programmed, on the chip's clock
 * @refreshes:	how often they were programmed again, see mxrt_refresh()
 * @rsvd:	zero
 */
struct mxrt_resident {
	uint32_t id;
	uint32_t users;
	uint8_t content[32];
	char name[48];
	uint64_t program_bytes;
	uint64_t params_bytes;
	uint64_t cells;
	uint32_t age;
	uint32_t refreshes;
	uint64_t rsvd[3];
};

/**
 * mxrt_models() - list the models resident in a device
 * @dev:	device
 * @list:	filled; may be NULL if *@count is 0
 * @count:	in: room at @list, in entries; out: resident models, maybe more
 *
 * Thread safety: any thread.
 *
 * Return: 0 or negative errno.
 */
int mxrt_models(struct mxrt_device *dev, struct mxrt_resident *list, size_t *count);

/**
 * mxrt_model_delete() - free the cells of a resident model
 * @dev:	device
 * @id:		slot in the chip's directory
 *
 * Thread safety: any thread.
 *
 * Return: 0; -ENOENT not resident; -EBUSY in use; -EPERM not allowed.
 */
int mxrt_model_delete(struct mxrt_device *dev, unsigned int id);

/**
 * mxrt_refresh() - program the cells of a resident model again
 * @dev:	device
 * @id:		slot in the chip's directory
 *
 * For cells that have aged: they are new then, and worn once more. Nothing of the model is sent.
 * It may be in use; a job sees the cells of before or of after. Interrupted by a power cut or a
 * reset, the model is whole, and as old as before or new.
 *
 * Thread safety: any thread.
 *
 * Return: 0; -ENOENT not resident; -EPERM not allowed; -ENOSPC worn out, nothing was done;
 * -EOPNOTSUPP the chip or its driver cannot.
 */
int mxrt_refresh(struct mxrt_device *dev, unsigned int id);

/**
 * mxrt_set_age() - let time pass on a chip of a "sim:" device
 * @dev:	device opened with fidelity=analog
 * @seconds:	what its clock shows then: 0 when it was opened, at most 1000000000, never less
 *		than before
 *
 * The cells of each model are as old as the time since they were programmed.
 *
 * Thread safety: any thread.
 *
 * Return: 0; -EINVAL; -EOPNOTSUPP no "sim:" device.
 */
int mxrt_set_age(struct mxrt_device *dev, unsigned int seconds);

/* --------------------------------------------------------- inference */

/**
 * struct mxrt_infer_params - a blocking inference
 * @size:	sizeof(struct)
 * @flags:	zero
 * @entry:	name of the program entry; NULL: @entry_index
 * @entry_index: index of the program entry, if @entry is NULL
 * @timeout_ms:	give up after it; 0: the driver's default, sim: never
 * @nr_seq:	sequences
 * @tokens:	ids per sequence
 * @ids:	int32 [nr_seq, tokens], 0 being padding; any alignment
 * @out:	result, see mxrt_image_entry(); any alignment
 * @out_bytes:	room at @out
 */
struct mxrt_infer_params {
	uint32_t size;
	uint32_t flags;
	const char *entry;
	uint32_t entry_index;
	uint32_t timeout_ms;
	size_t nr_seq;
	size_t tokens;
	const void *ids;
	void *out;
	size_t out_bytes;
};

/**
 * struct mxrt_result - outcome of an inference
 * @size:	in: sizeof(struct); out: bytes filled
 * @status:	0 or the chip's status, for mxrt_strerror()
 * @cycles:	modelled chip cycles
 * @host_ns:	wall time of the call
 * @out_bytes:	size of the result
 * @jobs:	jobs it took
 * @rsvd:	zero
 */
struct mxrt_result {
	uint32_t size;
	uint32_t status;
	uint64_t cycles;
	uint64_t host_ns;
	uint64_t out_bytes;
	uint32_t jobs;
	uint32_t rsvd;
};

/**
 * mxrt_infer() - run a model over a batch, and wait for the result
 * @model:	model
 * @params:	the job
 * @result:	filled, also on failure; may be NULL
 *
 * A batch whose ids or result exceed mxrt_device_info.max_io_bytes (on a device
 * node also 32 MiB, or what memory and memory-lock limit allow) runs as several
 * jobs of whole sequences. The result is the same; the counters show the jobs.
 * On failure the contents of @out are undefined. Restarted after signals.
 * Thread safety: any thread; calls on one device handle run one after another.
 *
 * Return: 0; -ENOENT no such entry; -ENOBUFS @out is too small; -EDOM an id
 * outside the vocabulary; -ENODATA a sequence without tokens; -E2BIG more
 * tokens than the model takes; -EFBIG one sequence exceeds max_io_bytes;
 * -ETIMEDOUT; -ERANGE infinity or not-a-number met; -EIO; -ENODEV; -ENOMEM.
 */
int mxrt_infer(struct mxrt_model *model, const struct mxrt_infer_params *params,
	       struct mxrt_result *result);

#define MXRT_TICKS		256		/* parts of a cycle */
#define MXRT_SPAN_ALL		0xffffffffu	/* mxrt_span.token: all tokens */

/**
 * struct mxrt_span - a resource in use, part of a job's modelled schedule
 * @start:	from the start of the job, in 1/MXRT_TICKS cycles
 * @ticks:	length, in the same unit
 * @seq:	sequence
 * @token:	place of the token in its sequence, or MXRT_SPAN_ALL
 * @op:		macro-op of the entry, see mxrt_image_op()
 * @resource:	see mxrt_resource_name()
 * @rsvd:	zero
 * @unit:	which one of the resource
 */
struct mxrt_span {
	uint64_t start;
	uint64_t ticks;
	uint32_t seq;
	uint32_t token;
	uint32_t op;
	uint8_t resource;
	uint8_t rsvd;
	uint16_t unit;
};

/**
 * mxrt_schedule() - what each resource of the chip does when, in a job
 * @model:	model
 * @params:	the job; @out and @out_bytes are not used
 * @spans:	filled, by ascending start; may be NULL if *@count is 0
 * @count:	in: room at @spans, in entries; out: spans there are, maybe more
 *
 * Nothing is computed and nothing is counted: the schedule follows from the
 * lengths of the sequences. They make one job, so mxrt_infer() may take more.
 * Thread safety: as mxrt_infer().
 *
 * Return: as mxrt_infer(); -EOPNOTSUPP driver or chip are older; -EFBIG more
 * sequences than a job takes.
 */
int mxrt_schedule(struct mxrt_model *model, const struct mxrt_infer_params *params,
		  struct mxrt_span *spans, size_t *count);

/**
 * mxrt_resource_name() - name of a resource of a schedule
 * @resource:	of a struct mxrt_span
 *
 * The counters "busy_<name>_cycles" and "stall_<name>_cycles" are about it.
 * Thread safety: any thread.
 *
 * Return: constant text such as "large", or NULL for an unknown one.
 */
const char *mxrt_resource_name(unsigned int resource);

/* ------------------------------------------------ buffers and queues */

#define MXRT_BUF_READ		0x1	/* the chip may read it: ids */
#define MXRT_BUF_WRITE		0x2	/* the chip may write it: results */

/**
 * mxrt_buf_alloc() - allocate memory that jobs can use
 * @dev:	device
 * @bytes:	size, not zero
 * @access:	MXRT_BUF_*
 * @out:	the buffer
 *
 * Thread safety: any thread.
 *
 * Return: 0; -ENOMEM out of memory, or over the limit of `ulimit -l`; other
 * negative errno.
 */
int mxrt_buf_alloc(struct mxrt_device *dev, size_t bytes, unsigned int access,
		   struct mxrt_buffer **out);

/**
 * mxrt_buf_wrap() - let jobs use memory of the caller
 * @dev:	device
 * @ptr:	memory, 4-byte aligned; stays the caller's and must not be freed
 *		before the buffer
 * @bytes:	size, not zero
 * @access:	MXRT_BUF_*
 * @out:	the buffer
 *
 * The memory is pinned, which counts against the memory-lock limit.
 * Thread safety: any thread.
 *
 * Return: 0; -ENOMEM over the limit, see `ulimit -l`; other negative errno.
 */
int mxrt_buf_wrap(struct mxrt_device *dev, void *ptr, size_t bytes, unsigned int access,
		  struct mxrt_buffer **out);

/**
 * mxrt_buf_ptr() - memory of a buffer
 * @buf:	buffer
 *
 * Thread safety: any thread.
 *
 * Return: its first byte; NULL if @buf is NULL.
 */
void *mxrt_buf_ptr(const struct mxrt_buffer *buf);

/**
 * mxrt_buf_free() - free a buffer
 * @buf:	buffer or NULL
 *
 * Jobs that use it must have been reaped.
 * Thread safety: any thread; no other call may be using the buffer.
 */
void mxrt_buf_free(struct mxrt_buffer *buf);

/* mxrt_queue_params.flags: one of them, or neither: io_uring where it can be had, else ioctl */
#define MXRT_QUEUE_IOCTL	0x1	/* jobs go to the driver by ioctl */
#define MXRT_QUEUE_URING	0x2	/* by io_uring, or the queue is not made */

/**
 * struct mxrt_queue_params - options of mxrt_queue_create()
 * @size:	sizeof(struct)
 * @flags:	MXRT_QUEUE_*; zero for "sim:" devices
 * @depth:	jobs in flight at once, at most mxrt_device_info.queue_depth;
 *		0: as many
 * @rsvd:	zero
 */
struct mxrt_queue_params {
	uint32_t size;
	uint32_t flags;
	uint32_t depth;
	uint32_t rsvd;
};

/**
 * mxrt_queue_create() - make a queue for asynchronous jobs
 * @dev:	device; it can have one queue at a time, open it again for more
 * @params:	options, or NULL
 * @out:	the queue
 *
 * Thread safety: any thread.
 *
 * Return: 0; -EBUSY the device handle has a queue; with MXRT_QUEUE_URING, -EPERM,
 * -ENOSYS or -EOPNOTSUPP io_uring is forbidden or missing; other negative errno.
 */
int mxrt_queue_create(struct mxrt_device *dev, const struct mxrt_queue_params *params,
		      struct mxrt_queue **out);

/**
 * mxrt_queue_door() - how jobs of a queue go to the device
 * @queue:	queue
 *
 * Thread safety: any thread.
 *
 * Return: "io_uring", "ioctl", or "sim" in this process; NULL without a queue.
 */
const char *mxrt_queue_door(const struct mxrt_queue *queue);

/**
 * mxrt_queue_destroy() - cancel what is in flight, wait for it, free the queue
 * @queue:	queue or NULL
 *
 * Completions that were not reaped are dropped.
 * Thread safety: one thread at a time per queue.
 */
void mxrt_queue_destroy(struct mxrt_queue *queue);

/**
 * struct mxrt_job - an asynchronous job
 * @size:	sizeof(struct)
 * @flags:	zero
 * @user_data:	comes back with the completion
 * @model:	model
 * @entry:	index of the program entry
 * @timeout_ms:	the job is aborted after it; 0: the driver's default, sim: never
 * @nr_seq:	sequences
 * @tokens:	ids per sequence
 * @in:		buffer with int32 ids [nr_seq, tokens], 0 being padding
 * @out:	buffer for the result; may be the same one
 * @in_offset:	bytes into @in, a multiple of 4
 * @out_offset:	bytes into @out, a multiple of 4
 */
struct mxrt_job {
	uint32_t size;
	uint32_t flags;
	uint64_t user_data;
	struct mxrt_model *model;
	uint32_t entry;
	uint32_t timeout_ms;
	uint32_t nr_seq;
	uint32_t tokens;
	struct mxrt_buffer *in;
	struct mxrt_buffer *out;
	uint64_t in_offset;
	uint64_t out_offset;
};

/**
 * mxrt_submit() - start a job
 * @queue:	queue
 * @job:	the job; a batch is never split here
 * @id:		out, may be NULL: for mxrt_cancel()
 *
 * Model and buffers must stay until the job was reaped. A "sim:" device has
 * no thread to run it on: the job runs inside mxrt_reap().
 * Thread safety: one thread at a time per queue.
 *
 * By io_uring, an error that only the driver can find may come as the completion's.
 *
 * Return: 0; -EAGAIN the queue is full: reap first, or try later if nothing is
 * in flight; -EXDEV model or buffer of another device handle; -EFAULT range
 * outside its buffer; -EFBIG more than max_io_bytes; other negative errno.
 */
int mxrt_submit(struct mxrt_queue *queue, const struct mxrt_job *job, uint64_t *id);

/**
 * struct mxrt_completion - outcome of a job
 * @id:		as by mxrt_submit()
 * @user_data:	of the job
 * @error:	0 or negative errno
 * @status:	0 or the chip's status, for mxrt_strerror()
 * @result:	success: modelled cycles. -EDOM: index of the bad id.
 *		-ENODATA, -E2BIG: index of the bad sequence.
 * @rsvd:	zero
 */
struct mxrt_completion {
	uint64_t id;
	uint64_t user_data;
	int32_t error;
	uint32_t status;
	uint64_t result;
	uint64_t rsvd[2];
};

/**
 * mxrt_reap() - collect completions
 * @queue:	queue
 * @list:	filled, in the order in which the jobs ended
 * @max:	room at @list, in entries, not zero
 * @timeout_ms:	longest wait for the first one; 0: do not wait; negative: wait
 *		without limit
 *
 * A job that failed is a completion with an error, not an error of this call.
 * Thread safety: one thread at a time per queue.
 *
 * Return: completions at @list, at least 1; -ETIME none in time; -ENODATA
 * nothing in flight; -EINTR a signal came; -ENODEV.
 */
int mxrt_reap(struct mxrt_queue *queue, struct mxrt_completion *list, size_t max,
	      int timeout_ms);

/**
 * mxrt_cancel() - ask to abort a job
 * @queue:	queue
 * @id:		of the job
 *
 * Its completion still comes: -ECANCELED, or the result if it was faster.
 * Thread safety: one thread at a time per queue.
 *
 * Return: 0; -ENOENT no such job in flight.
 */
int mxrt_cancel(struct mxrt_queue *queue, uint64_t id);

/**
 * mxrt_queue_fd() - file descriptor for poll(), select() or epoll
 * @queue:	queue
 *
 * Readable (POLLIN) when mxrt_reap() would return something; by ioctl, POLLHUP when
 * the device is gone. By io_uring jobs in flight then end with -ENODEV. Belongs to the queue: only wait on it.
 * Thread safety: any thread.
 *
 * Return: file descriptor, or -EINVAL.
 */
int mxrt_queue_fd(const struct mxrt_queue *queue);

#ifdef __cplusplus
}
#endif

#endif /* MXRT_H */
