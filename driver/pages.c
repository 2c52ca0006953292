// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory for the chip: pages of a process, pinned, or our own; mapped for DMA.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "mxaccel_drv.h"

#define MX_PAGES_MAX_ORDER	9	/* largest piece of memory of our own */

/* Gives pages back to the user, or to the kernel. */
void mx_pages_put(struct mx_pages *mem)
{
	unsigned int i;

	if (mem->pinned) {
		unpin_user_pages_dirty_lock(mem->pages, mem->nr_pages, mem->dirty);
	} else {
		for (i = 0; i < mem->nr_pages; i++)
			__free_page(mem->pages[i]);
	}
	kvfree(mem->pages);
	mem->pages = NULL;
	mem->nr_pages = 0;
}

/**
 * mx_pages_map() - make pages visible to the chip
 * @mx:		device, inside mx_enter()
 * @mem:	with pages, and @dir set
 *
 * The chip sees @bytes from @offset into the first page.
 */
int mx_pages_map(struct mx_dev *mx, struct mx_pages *mem)
{
	struct device *dma = &mx->pdev->dev;
	size_t segment = min_t(size_t, dma_get_max_seg_size(dma), dma_max_mapping_size(dma));
	int err;

	segment = max_t(size_t, round_down(segment, PAGE_SIZE), PAGE_SIZE);
	err = sg_alloc_table_from_pages_segment(&mem->sgt, mem->pages, mem->nr_pages,
						mem->offset, mem->bytes, segment,
						GFP_KERNEL);
	if (err)
		return err;
	err = dma_map_sgtable(dma, &mem->sgt, mem->dir, 0);
	if (err)
		sg_free_table(&mem->sgt);
	return err;
}

void mx_pages_unmap(struct mx_dev *mx, struct mx_pages *mem)
{
	dma_unmap_sgtable(&mx->pdev->dev, &mem->sgt, mem->dir, 0);
	sg_free_table(&mem->sgt);
}

/* Fills @mem->pages with pinned pages of the user. */
static int mx_pages_pin_user(struct mx_pages *mem, unsigned long start, unsigned int nr,
			     unsigned int flags)
{
	int got;

	mem->pinned = true;
	while (mem->nr_pages < nr) {
		got = pin_user_pages_fast(start + (unsigned long)mem->nr_pages * PAGE_SIZE,
					  nr - mem->nr_pages, flags, mem->pages + mem->nr_pages);
		if (got <= 0)
			return got ? got : -EFAULT;
		mem->nr_pages += got;
	}
	return 0;
}

/*
 * Where a read-only pin may be of a page that the process leaves behind with
 * its next write (the zero page; a page shared since fork()), pin as if for
 * writing, which gives the process a page of its own first. Pages that it may
 * not write are pinned as they are.
 */
static int mx_pages_pin_stable(struct mx_pages *mem, unsigned long start, unsigned int nr,
			       unsigned int flags)
{
	int err = -EFAULT;

#ifdef MX_PIN_MUST_BREAK_COW
	if (!(flags & FOLL_LONGTERM) || (flags & FOLL_WRITE))
		return mx_pages_pin_user(mem, start, nr, flags);
	/* A buffer may lie in mappings of both kinds. */
	while (err == -EFAULT) {
		err = mx_pages_pin_user(mem, start, nr, flags | FOLL_WRITE);
		if (err == -EFAULT && mx_pages_pin_user(mem, start, mem->nr_pages + 1, flags))
			break;
	}
#else
	err = mx_pages_pin_user(mem, start, nr, flags);
#endif
	return err;
}

/* Fills @mem->pages with new pages, in few pieces if memory allows. */
static int mx_pages_alloc(struct mx_pages *mem, unsigned int nr)
{
	gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN;
	unsigned int order = MX_PAGES_MAX_ORDER, i;
	struct page *page;

	while (mem->nr_pages < nr) {
		if (fatal_signal_pending(current))
			return -EINTR;
		order = min_t(unsigned int, order, ilog2(nr - mem->nr_pages));
		/* A missing large piece is no reason to try hard, and none to kill anybody. */
		page = alloc_pages(gfp | (order ? __GFP_NORETRY : __GFP_RETRY_MAYFAIL), order);
		if (!page) {
			if (!order--)
				return -ENOMEM;
			continue;
		}
		split_page(page, order);
		for (i = 0; i < 1U << order; i++)
			mem->pages[mem->nr_pages++] = page + i;
	}
	return 0;
}

static int mx_pages_table(struct mx_pages *mem, unsigned int offset, u64 bytes)
{
	unsigned int nr = DIV_ROUND_UP_ULL(offset + bytes, PAGE_SIZE);

	mem->offset = offset;
	mem->bytes = bytes;
	mem->pages = kvmalloc_array(nr, sizeof(*mem->pages), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	return mem->pages ? nr : -ENOMEM;
}

/**
 * mx_pages_pin() - pin user memory
 * @mem:	zeroed
 * @addr:	user address
 * @bytes:	not zero, at most MX_PAGES_MAX_BYTES
 * @write:	the chip writes it
 * @longterm:	for longer than a command
 *
 * Not inside mx_enter(). Return: 0, -EFAULT, -ENOMEM, or what pinning says.
 */
int mx_pages_pin(struct mx_pages *mem, u64 addr, u64 bytes, bool write, bool longterm)
{
	unsigned int flags = (write ? FOLL_WRITE : 0) | (longterm ? FOLL_LONGTERM : 0);
	int err;

	if (addr != (unsigned long)addr || !access_ok(u64_to_user_ptr(addr), bytes))
		return -EFAULT;
	err = mx_pages_table(mem, offset_in_page(addr), bytes);
	if (err < 0)
		return err;
	err = mx_pages_pin_stable(mem, addr & PAGE_MASK, err, flags);
	if (err)
		mx_pages_put(mem);
	return err;
}

/* Memory of our own, zeroed; as mx_pages_pin(). */
int mx_pages_new(struct mx_pages *mem, u64 bytes)
{
	int err = mx_pages_table(mem, 0, bytes);

	if (err < 0)
		return err;
	err = mx_pages_alloc(mem, err);
	if (err)
		mx_pages_put(mem);
	return err;
}
