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
	float vector[1024];
	struct mxrt_infer_params job = {
		.size = sizeof(job), .entry = "sentence", .nr_seq = 1, .tokens = 16,
		.ids = ids, .out = vector, .out_bytes = sizeof(vector) };

	if (argc < 2)
		errx(2, "usage: first IMAGE [DEVICE]");
	if (mxrt_open(argv[2], NULL, &dev) || mxrt_image_open(argv[1], 0, &image) ||
	    mxrt_load(dev, image, NULL, &model) ||
	    mxrt_tokenize(image, "Hello, accelerator!", ids, 16, NULL) ||
	    mxrt_infer(model, &job, NULL))
		errx(1, "%s", mxrt_last_error());
	printf("%f %f %f ...\n", vector[0], vector[1], vector[2]);
	return 0;
}
