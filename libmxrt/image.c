// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Reader of model images (.mxw, see mxaccel_image.h). Nothing in a file is
 * believed: every bit of it is covered by a check, of which the weights'
 * digest alone waits until they are used.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "digest.h"
#include "internal.h"
#include "tokenizer.h"

#define TOK_FLAGS_KNOWN \
	(MXACCEL_TOK_LOWER | MXACCEL_TOK_STRIP_ACCENTS | MXACCEL_TOK_SPLIT_CJK)

#define bad(image, err, format, ...) \
	mxrt_fail(err, "model image %s: " format, (image)->name, ##__VA_ARGS__)

static const char *section_name(uint32_t kind)
{
	switch (kind) {
	case MXACCEL_SEC_MODEL:		return "MODEL";
	case MXACCEL_SEC_PARAMS:	return "PARAMS";
	case MXACCEL_SEC_CHUNKS:	return "CHUNKS";
	case MXACCEL_SEC_VOCAB:		return "VOCAB";
	case MXACCEL_SEC_TOKENIZER:	return "TOKENIZER";
	case MXACCEL_SEC_CARD:		return "CARD";
	case MXACCEL_SEC_GOLDEN:	return "GOLDEN";
	default:			return "unknown";
	}
}

static bool terminated(const char *text, size_t bytes)
{
	return memchr(text, 0, bytes);
}

static int check_incompat(const struct mxrt_image *image, uint64_t bits, uint64_t known,
			  const char *where)
{
	bits &= ~known;
	if (!bits)
		return 0;
	return bad(image, -EPROTONOSUPPORT,
		   "%s needs feature bit %d, which this library does not know; update it", where,
		   __builtin_ctzll(bits));
}

/* Header page: identity first, so that the message fits what the file is. */
static int check_header(struct mxrt_image *image)
{
	const struct mxaccel_image *header = image->header;
	struct mxaccel_image copy;

	if (image->bytes < sizeof(uint64_t) ||
	    memcmp(image->data, &(uint64_t){ MXACCEL_IMAGE_MAGIC }, sizeof(uint64_t)))
		return bad(image, -EINVAL, "not a model image (it has no \"MXWIMAGE\" at its start)");
	if (image->bytes < sizeof(*header))
		return bad(image, -EBADMSG, "truncated: %zu bytes, its header alone takes %zu",
			   image->bytes, sizeof(*header));
	if (header->major != MXACCEL_IMAGE_MAJOR)
		return bad(image, -EPROTONOSUPPORT,
			   "layout version %u.%u, this library reads %u.x; map the model again or update",
			   header->major, header->minor, MXACCEL_IMAGE_MAJOR);
	copy = *header;
	copy.crc32c = 0;
	if (mx_crc32c(&copy, sizeof(copy)) != header->crc32c)
		return bad(image, -EBADMSG,
			   "header is damaged: CRC-32C is 0x%08x, should be 0x%08x",
			   mx_crc32c(&copy, sizeof(copy)), header->crc32c);
	if (header->header_bytes != sizeof(*header))
		return bad(image, -EINVAL, "header of %u bytes instead of %zu",
			   header->header_bytes, sizeof(*header));
	if (header->file_bytes > image->bytes)
		return bad(image, -EBADMSG, "truncated: %zu of %llu bytes", image->bytes,
			   (unsigned long long)header->file_bytes);
	if (header->file_bytes < image->bytes)
		return bad(image, -EBADMSG, "%llu bytes after the image's end at byte %llu",
			   (unsigned long long)(image->bytes - header->file_bytes),
			   (unsigned long long)header->file_bytes);
	if (!terminated(header->name, sizeof(header->name)) ||
	    !terminated(header->chip, sizeof(header->chip)) ||
	    !terminated(header->builder, sizeof(header->builder)))
		return bad(image, -EINVAL, "a name in the header is not terminated");
	return check_incompat(image, header->incompat, MXACCEL_IMAGE_INCOMPAT_KNOWN, "it");
}

static int check_gap(const struct mxrt_image *image, uint64_t from, uint64_t to)
{
	for (; from < to; from++)
		if (image->data[from])
			return bad(image, -EBADMSG,
				   "damaged: byte %llu, between sections, is 0x%02x instead of 0",
				   (unsigned long long)from, image->data[from]);
	return 0;
}

/* Section table: places and gaps. Fills image->section. */
static int check_sections(struct mxrt_image *image)
{
	const struct mxaccel_image *header = image->header;
	const struct mxaccel_section *section = header->section;
	uint64_t end = sizeof(*header);
	uint32_t i;
	int err;

	if (header->nr_sections > MXACCEL_IMAGE_SECTIONS)
		return bad(image, -EINVAL, "%u sections, at most %u fit its table",
			   header->nr_sections, MXACCEL_IMAGE_SECTIONS);
	for (i = 0; i < header->nr_sections; i++, section++) {
		if (section->offset % MXACCEL_PAGE)
			return bad(image, -EINVAL,
				   "section %u (%s) starts at byte %llu, which is no page boundary", i,
				   section_name(section->kind),
				   (unsigned long long)section->offset);
		if (section->offset < end)
			return bad(image, -EINVAL,
				   "section %u (%s) starts at byte %llu, inside of what ends at %llu",
				   i, section_name(section->kind),
				   (unsigned long long)section->offset, (unsigned long long)end);
		if (section->offset > image->bytes ||
		    section->bytes > image->bytes - section->offset)
			return bad(image, -EINVAL,
				   "section %u (%s), %llu bytes at byte %llu, leaves the file of %zu", i,
				   section_name(section->kind),
				   (unsigned long long)section->bytes,
				   (unsigned long long)section->offset, image->bytes);
		err = check_gap(image, end, section->offset);
		if (err)
			return err;
		end = section->offset + section->bytes;
		if (!section->kind || section->kind > MXACCEL_SEC_GOLDEN)
			continue;	/* of a later version, for somebody else */
		if (image->section[section->kind])
			return bad(image, -EINVAL, "two %s sections", section_name(section->kind));
		image->section[section->kind] = section;
	}
	for (i = MXACCEL_SEC_MODEL; i <= MXACCEL_SEC_PARAMS; i++)
		if (!image->section[i])
			return bad(image, -EINVAL, "no %s section", section_name(i));
	if (image->section[MXACCEL_SEC_PARAMS] != image->section[MXACCEL_SEC_MODEL] + 1)
		return bad(image, -EINVAL, "PARAMS does not follow MODEL");
	return check_gap(image, end, image->bytes);
}

static int check_digest(const struct mxrt_image *image, const struct mxaccel_section *section)
{
	uint8_t digest[MX_DIGEST_BYTES];
	int err;

	err = mx_digest_section(image->data + section->offset, section->bytes, NULL, NULL, digest);
	if (err)
		return bad(image, err, "hashing failed: %s", mxrt_strerror(err));
	if (memcmp(digest, section->digest, sizeof(digest)))
		return bad(image, -EBADMSG,
			   "damaged: section %s (%llu bytes at byte %llu) does not match its digest",
			   section_name(section->kind), (unsigned long long)section->bytes,
			   (unsigned long long)section->offset);
	return 0;
}

static int check_digests(const struct mxrt_image *image)
{
	const struct mxaccel_section *params = image->section[MXACCEL_SEC_PARAMS];
	const struct mxaccel_section *chunks = image->section[MXACCEL_SEC_CHUNKS];
	uint8_t digest[MX_DIGEST_BYTES];
	uint32_t i;
	int err;

	err = mx_digest_content(image->section[MXACCEL_SEC_MODEL]->digest, params->digest, digest);
	if (err)
		return bad(image, err, "hashing failed: %s", mxrt_strerror(err));
	if (memcmp(digest, image->header->content, sizeof(digest)))
		return bad(image, -EBADMSG, "content id differs from its sections' digests");
	for (i = 0; i < image->header->nr_sections; i++) {
		if (&image->header->section[i] == params)
			continue;
		err = check_digest(image, &image->header->section[i]);
		if (err)
			return err;
	}
	if (!chunks)
		return 0;
	/* A section's digest is the digest of its chunks' digests, which are these. */
	err = mx_sha256(mxrt_section_data(image, MXACCEL_SEC_CHUNKS), chunks->bytes, digest);
	if (err)
		return bad(image, err, "hashing failed: %s", mxrt_strerror(err));
	if (memcmp(digest, params->digest, sizeof(digest)))
		return bad(image, -EBADMSG, "CHUNKS are not the digests of PARAMS");
	return 0;
}

static int check_entry(const struct mxrt_image *image, const struct mxaccel_op *ops, uint32_t index)
{
	const struct mxaccel_entry *entry = &image->entry[index];
	uint64_t end = (uint64_t)entry->first_op + entry->nr_ops;
	uint32_t i;

	if (!entry->name[0] || !terminated(entry->name, sizeof(entry->name)))
		return bad(image, -EINVAL, "program entry %u has no proper name", index);
	for (i = 0; i < index; i++)
		if (!strcmp(image->entry[i].name, entry->name))
			return bad(image, -EINVAL, "two program entries are called \"%s\"",
				   entry->name);
	if (end > image->model->nr_ops || entry->nr_ops < 2)
		return bad(image, -EINVAL,
			   "program entry \"%s\" is made of ops %u to %llu, the model has %u",
			   entry->name, entry->first_op, (unsigned long long)end - 1,
			   image->model->nr_ops);
	if (ops[entry->first_op].opcode != MXACCEL_OP_LOAD ||
	    ops[end - 1].opcode != MXACCEL_OP_STORE)
		return bad(image, -EINVAL, "program entry \"%s\" does not run from LOAD to STORE",
			   entry->name);
	if ((entry->out_kind != MXACCEL_REGION_ROWS && entry->out_kind != MXACCEL_REGION_SEQ) ||
	    !entry->out_cols || entry->out_cols > MXACCEL_MAX_K)
		return bad(image, -EINVAL,
			   "program entry \"%s\" gives a result of kind %u with %u columns",
			   entry->name, entry->out_kind, entry->out_cols);
	return 0;
}

/* As much of MODEL as the host relies on; the chip checks the whole when it is programmed. */
static int check_model(struct mxrt_image *image)
{
	const struct mxaccel_section *section = image->section[MXACCEL_SEC_MODEL];
	const struct mxaccel_model *model = mxrt_section_data(image, MXACCEL_SEC_MODEL);
	const struct mxaccel_op *ops;
	uint64_t bytes = sizeof(*model);
	uint32_t i;
	int err;

	if (section->bytes < bytes || section->bytes > MXACCEL_MODEL_MAX_BYTES)
		return bad(image, -EINVAL, "MODEL section of %llu bytes",
			   (unsigned long long)section->bytes);
	if (model->magic != MXACCEL_MODEL_MAGIC)
		return bad(image, -EINVAL, "MODEL section does not start with \"MODL\"");
	if (model->version != MXACCEL_MODEL_VERSION)
		return bad(image, -EPROTONOSUPPORT,
			   "program of version %u, this library knows %u; map the model again or update",
			   model->version, MXACCEL_MODEL_VERSION);
	err = check_incompat(image, model->incompat, MXACCEL_MODEL_INCOMPAT_KNOWN, "its program");
	if (err)
		return err;
	bytes += (uint64_t)model->nr_regions * sizeof(struct mxaccel_region);
	bytes += (uint64_t)model->nr_entries * sizeof(struct mxaccel_entry);
	bytes += (uint64_t)model->nr_ops * sizeof(struct mxaccel_op);
	bytes += (uint64_t)model->nr_places * sizeof(struct mxaccel_place);
	bytes += (uint64_t)model->nr_steps * sizeof(struct mxaccel_steps);
	if (bytes != section->bytes)
		return bad(image, -EINVAL,
			   "MODEL section of %llu bytes, its %u regions, %u entries, %u ops, %u placements and %u rows of steps take %llu",
			   (unsigned long long)section->bytes, model->nr_regions,
			   model->nr_entries, model->nr_ops, model->nr_places,
			   model->nr_steps, (unsigned long long)bytes);
	if (model->params_bytes != image->section[MXACCEL_SEC_PARAMS]->bytes)
		return bad(image, -EINVAL, "program for %llu bytes of PARAMS, there are %llu",
			   (unsigned long long)model->params_bytes,
			   (unsigned long long)image->section[MXACCEL_SEC_PARAMS]->bytes);
	if (model->vocab < 2 || model->vocab > INT32_MAX || !model->max_tokens ||
	    model->max_tokens > INT32_MAX || !model->nr_entries)
		return bad(image, -EINVAL, "%u token ids, %u tokens at most, %u program entries",
			   model->vocab, model->max_tokens, model->nr_entries);
	if (!terminated(model->name, sizeof(model->name)))
		return bad(image, -EINVAL, "the model's name is not terminated");
	image->model = model;
	image->entry = (const void *)((const uint8_t *)(model + 1) +
				      model->nr_regions * sizeof(struct mxaccel_region));
	ops = (const void *)(image->entry + model->nr_entries);
	for (i = 0; i < model->nr_entries; i++) {
		err = check_entry(image, ops, i);
		if (err)
			return err;
	}
	return 0;
}

/* Finds the tokens of VOCAB, one to a line. */
static int read_vocab(struct mxrt_image *image)
{
	const struct mxaccel_section *section = image->section[MXACCEL_SEC_VOCAB];
	const char *text, *at, *end;
	uint32_t count = 0;

	if (!section)
		return 0;
	text = mxrt_section_data(image, MXACCEL_SEC_VOCAB);
	end = text + section->bytes;
	if (!section->bytes || section->bytes > UINT32_MAX || end[-1] != '\n')
		return bad(image, -EINVAL, "vocabulary of %llu bytes is empty or has an open last line",
			   (unsigned long long)section->bytes);
	for (at = text; at < end; at = (const char *)memchr(at, '\n', end - at) + 1)
		count++;
	if (count > image->model->vocab)
		return bad(image, -EINVAL, "vocabulary of %u tokens, the model takes %u", count,
			   image->model->vocab);
	image->token_end = malloc(count * sizeof(*image->token_end));
	if (!image->token_end)
		return bad(image, -ENOMEM, "no memory for %u tokens", count);
	for (at = text; at < end; at++) {
		at = memchr(at, '\n', end - at);
		image->token_end[image->nr_tokens++] = at - text;
	}
	return 0;
}

static int read_tokenizer(struct mxrt_image *image)
{
	const struct mxaccel_section *section = image->section[MXACCEL_SEC_TOKENIZER];
	const struct mxaccel_tokenizer *config;
	char err_text[256] = "";
	int err;

	if (!section)
		return 0;
	if (!image->nr_tokens)
		return bad(image, -EINVAL, "a tokenizer but no vocabulary");
	config = mxrt_section_data(image, MXACCEL_SEC_TOKENIZER);
	if (section->bytes < sizeof(*config))
		return bad(image, -EINVAL, "tokenizer section of %llu bytes",
			   (unsigned long long)section->bytes);
	if (config->flags & ~TOK_FLAGS_KNOWN)
		return bad(image, -EPROTONOSUPPORT,
			   "tokenizer needs feature bit %d, which this library does not know; update it",
			   __builtin_ctz(config->flags & ~TOK_FLAGS_KNOWN));
	if (config->pad || config->unk >= image->nr_tokens || config->cls >= image->nr_tokens ||
	    config->sep >= image->nr_tokens || !config->max_word)
		return bad(image, -EINVAL,
			   "tokenizer with ids pad %u, unk %u, cls %u, sep %u of %u, words up to %u",
			   config->pad, config->unk, config->cls, config->sep, image->nr_tokens,
			   config->max_word);
	err = mxrt_tokenizer_new(config, mxrt_section_data(image, MXACCEL_SEC_VOCAB),
				 image->section[MXACCEL_SEC_VOCAB]->bytes, &image->tokenizer,
				 err_text, sizeof(err_text));
	if (err)
		return bad(image, err, "%s", err_text[0] ? err_text : mxrt_strerror(err));
	return 0;
}

static int check_golden(const struct mxrt_image *image)
{
	const struct mxaccel_section *section = image->section[MXACCEL_SEC_GOLDEN];
	const struct mxaccel_golden *golden;

	if (!section)
		return 0;
	golden = mxrt_section_data(image, MXACCEL_SEC_GOLDEN);
	/* Divided, because four times the product of two 32-bit fields may overflow. */
	if (section->bytes < sizeof(*golden) ||
	    (section->bytes - sizeof(*golden)) % sizeof(int32_t) ||
	    (section->bytes - sizeof(*golden)) / sizeof(int32_t) !=
	    (uint64_t)golden->nr_seq * golden->tokens ||
	    golden->entry >= image->model->nr_entries)
		return bad(image, -EINVAL, "GOLDEN section of %llu bytes does not fit its job",
			   (unsigned long long)section->bytes);
	return 0;
}

static int open_image(struct mxrt_image *image, unsigned int flags)
{
	int (*const steps[])(struct mxrt_image *image) = {
		check_header, check_sections, NULL, check_model, read_vocab, read_tokenizer,
	};
	size_t i;
	int err;

	image->header = (const void *)image->data;
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		err = steps[i] ? steps[i](image) : check_digests(image);
		if (err)
			return err;
	}
	err = check_golden(image);
	if (!err && flags & MXRT_IMAGE_VERIFY)
		err = mxrt_image_verify(image);
	return err;
}

static struct mxrt_image *new_image(const char *path)
{
	struct mxrt_image *image = calloc(1, sizeof(*image));
	const char *slash = strrchr(path, '/');

	if (!image) {
		mxrt_fail(-ENOMEM, "no memory to open model image %s", path);
		return NULL;
	}
	strncpy(image->name, slash && slash[1] ? slash + 1 : path, sizeof(image->name) - 1);
	return image;
}

static int map_file(struct mxrt_image *image, const char *path)
{
	struct stat st;
	void *data;
	int fd, err = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return mxrt_fail(-errno, "cannot open model image %s: %s", path, strerrordesc_np(errno));
	if (fstat(fd, &st)) {
		err = mxrt_fail(-errno, "cannot stat %s: %s", path, strerrordesc_np(errno));
	} else if (!S_ISREG(st.st_mode)) {
		err = mxrt_fail(S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL,
				"model image %s is not a regular file", path);
	} else if (!st.st_size) {
		err = mxrt_fail(-EINVAL, "model image %s is empty", path);
	} else {
		data = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (data == MAP_FAILED) {
			err = mxrt_fail(-errno, "cannot map the %lld bytes of model image %s: %s",
					(long long)st.st_size, path, strerrordesc_np(errno));
		} else {
			image->data = data;
			image->bytes = st.st_size;
			image->mapped = true;
		}
	}
	close(fd);
	return err;
}

static int finish(struct mxrt_image *image, int err, unsigned int flags, struct mxrt_image **out)
{
	if (!err)
		err = open_image(image, flags);
	if (err) {
		mxrt_image_close(image);
		return err;
	}
	*out = image;
	return 0;
}

int mxrt_image_open(const char *path, unsigned int flags, struct mxrt_image **out)
{
	struct mxrt_image *image;

	if (!path || !out || flags & ~MXRT_IMAGE_VERIFY)
		return mxrt_fail(-EINVAL, "%s: no path, no out, or flags 0x%x", __func__, flags);
	image = new_image(path);
	if (!image)
		return -ENOMEM;
	return finish(image, map_file(image, path), flags, out);
}

int mxrt_image_open_memory(const void *data, size_t bytes, unsigned int flags,
			   struct mxrt_image **out)
{
	struct mxrt_image *image;

	if (!data || (uintptr_t)data % sizeof(uint64_t) || !out || flags & ~MXRT_IMAGE_VERIFY)
		return mxrt_fail(-EINVAL,
				 "%s: data %p not 8-byte aligned, no out, or flags 0x%x", __func__,
				 data, flags);
	image = new_image("in memory");
	if (!image)
		return -ENOMEM;
	image->data = data;
	image->bytes = bytes;
	return finish(image, 0, flags, out);
}

/* Says which part of PARAMS is damaged, if CHUNKS tell. @digests: of its chunks as they are. */
static int bad_params(const struct mxrt_image *image, const uint8_t *digests, uint64_t nr)
{
	const struct mxaccel_section *params = image->section[MXACCEL_SEC_PARAMS];
	const uint8_t *wanted = mxrt_image_chunks(image);
	unsigned long long at, bytes = params->bytes;
	uint64_t i = 0;

	while (wanted && i < nr &&
	       !memcmp(digests + i * MX_DIGEST_BYTES, wanted + i * MX_DIGEST_BYTES, MX_DIGEST_BYTES))
		i++;
	if (!wanted || i == nr)
		return bad(image, -EBADMSG,
			   "damaged: section PARAMS (%llu bytes at byte %llu) does not match its digest",
			   bytes, (unsigned long long)params->offset);
	at = i * MXACCEL_CHUNK;
	bytes = bytes - at < MXACCEL_CHUNK ? bytes - at : MXACCEL_CHUNK;
	return bad(image, -EBADMSG,
		   "damaged: chunk %llu of section PARAMS, the %llu bytes at byte %llu, is the first that does not match its digest; get or map the image again",
		   (unsigned long long)i, bytes, (unsigned long long)params->offset + at);
}

static int check_params(const struct mxrt_image *image)
{
	const struct mxaccel_section *params = image->section[MXACCEL_SEC_PARAMS];
	uint64_t nr = mx_digest_nr_chunks(params->bytes);
	uint8_t *digests = malloc(nr * MX_DIGEST_BYTES + 1), digest[MX_DIGEST_BYTES];
	int err;

	if (!digests)
		return bad(image, -ENOMEM, "no memory for the digests of %llu chunks",
			   (unsigned long long)nr);
	err = mx_digest_chunks(image->data + params->offset, params->bytes, NULL, NULL, digests);
	if (!err)
		err = mx_sha256(digests, nr * MX_DIGEST_BYTES, digest);
	if (err)
		err = bad(image, err, "hashing failed: %s", mxrt_strerror(err));
	else if (memcmp(digest, params->digest, sizeof(digest)))
		err = bad_params(image, digests, nr);
	free(digests);
	return err;
}

int mxrt_image_verify(const struct mxrt_image *image)
{
	const struct mxaccel_section *params;
	int err;

	if (!image)
		return mxrt_fail(-EINVAL, "%s: no image", __func__);
	if (atomic_load(&image->verified))
		return 0;
	params = image->section[MXACCEL_SEC_PARAMS];
	err = check_params(image);
	if (err)
		return err;
	mxrt_image_forget(image, image->data + params->offset, params->bytes);
	atomic_store(&((struct mxrt_image *)image)->verified, true);
	return 0;
}

void mxrt_image_forget(const struct mxrt_image *image, const void *from, size_t bytes)
{
	uintptr_t page = sysconf(_SC_PAGESIZE);
	uintptr_t start = ((uintptr_t)from + page - 1) & -page;
	uintptr_t end = ((uintptr_t)from + bytes) & -page;

	if (image->mapped && end > start)
		madvise((void *)start, end - start, MADV_DONTNEED);
}

void mxrt_image_close(struct mxrt_image *image)
{
	if (!image)
		return;
	mxrt_tokenizer_free(image->tokenizer);
	free(image->token_end);
	if (image->mapped)
		munmap((void *)image->data, image->bytes);
	free(image);
}
