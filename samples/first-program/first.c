// SPDX-License-Identifier: LGPL-2.1-or-later
/* cc first.c $(pkg-config --cflags --libs mxrt) && ./a.out model.mxw sim:mx1 */
#include <err.h>
#include <stdio.h>
#include <mxrt.h>

int main(int argc, char **argv)
{
	struct mxrt_device *dev;
	struct mxrt_image *image;
	struct mxrt_model *model;
	int32_t ids[16];
	float v[1024];
	struct mxrt_infer_params job = { .size = sizeof(job), .entry = "sentence", .nr_seq = 1,
		.tokens = 16, .ids = ids, .out = v, .out_bytes = sizeof(v) };

	if (argc < 2 || mxrt_open(argv[2], NULL, &dev) || mxrt_image_open(argv[1], 0, &image) ||
	    mxrt_load(dev, image, NULL, &model) ||
	    mxrt_tokenize(image, "Hello, crossbar!", ids, 16, NULL) ||
	    mxrt_infer(model, &job, NULL))
		errx(1, "first IMAGE [DEVICE]: %s", mxrt_last_error());
	printf("%f %f %f ...\n", v[0], v[1], v[2]);
}
