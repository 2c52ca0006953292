// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The report on a placement, for people.
 */
#include "mxmap.h"
#include "place_report.h"

static json_int_t integer(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static double percent(const json_t *object, const char *name)
{
	return 100 * json_real_value(json_object_get(object, name));
}

static const char *text(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

/* Weights of two layers that lie alike, wherever that is */
static bool alike(const json_t *a, const json_t *b)
{
	static const char *const names[] = { "kind", "k", "n", "units", "tiles", "passes" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!json_equal(json_object_get(a, names[i]), json_object_get(b, names[i])))
			return false;
	return true;
}

static json_int_t layer_of(const json_t *weight)
{
	const json_t *layer = json_object_get(weight, "layer");

	return json_is_integer(layer) ? json_integer_value(layer) : -1;
}

/* Weights that belong to the layer of the one at @first */
static size_t layer_length(const json_t *list, size_t first)
{
	size_t i = first + 1;

	while (i < json_array_size(list) && layer_of(json_array_get(list, i)) ==
	       layer_of(json_array_get(list, first)))
		i++;
	return i - first;
}

/* Whether @count weights from @a on lie as those from @b on do */
static bool same_layers(const json_t *list, size_t a, size_t b, size_t count)
{
	size_t i;

	if (b >= json_array_size(list) || layer_length(list, b) != count ||
	    layer_of(json_array_get(list, b)) < 0)
		return false;
	for (i = 0; i < count; i++)
		if (!alike(json_array_get(list, a + i), json_array_get(list, b + i)))
			return false;
	return true;
}

static void print_weight(const json_t *weight, const char *where, const char *unit, FILE *to)
{
	fprintf(to, "  %-14s %-8s %6" JSON_INTEGER_FORMAT " x %-6" JSON_INTEGER_FORMAT
		" %8" JSON_INTEGER_FORMAT " tiles on %6" JSON_INTEGER_FORMAT " %s%s, %"
		JSON_INTEGER_FORMAT " %s\n", where, text(weight, "kind"), integer(weight, "k"),
		integer(weight, "n"), integer(weight, "tiles"), integer(weight, "units"), unit,
		integer(weight, "units") == 1 ? "" : "s",
		integer(weight, "passes"), integer(weight, "passes") == 1 ? "pass" : "passes");
}

static void print_weights(const json_t *report, FILE *to)
{
	const json_t *list = json_object_get(report, "weights");
	size_t at = 0, count, next, i;
	char where[32];

	while (at < json_array_size(list)) {
		json_int_t layer = layer_of(json_array_get(list, at));

		count = layer_length(list, at);
		for (next = at + count; layer >= 0 && same_layers(list, at, next, count);)
			next += count;
		if (layer < 0)
			snprintf(where, sizeof(where), "no layer");
		else if (next == at + count)
			snprintf(where, sizeof(where), "layer %" JSON_INTEGER_FORMAT, layer);
		else
			snprintf(where, sizeof(where), "layers %" JSON_INTEGER_FORMAT "-%"
				 JSON_INTEGER_FORMAT, layer,
				 layer_of(json_array_get(list, next - 1)));
		for (i = 0; i < count; i++)
			print_weight(json_array_get(list, at + i), i ? "" : where,
				     text(report, "unit"), to);
		at = next;
	}
}

void place_print(const json_t *report, FILE *to)
{
	const json_t *cycles = json_object_get(report, "cycles"), *value;
	const char *unit = text(report, "unit"), *tokens;

	fprintf(to, "placement \"%s\" on %s: %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
		" %ss in use, %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
		" tiles (%.1f %%), weights %.1f %% of the cells, %.1f %% lost at edges\n",
		text(report, "place"), text(report, "chip"), integer(report, "units_used"),
		integer(report, "units"), unit, integer(report, "tiles"),
		integer(report, "units") * integer(report, "depth"), percent(report, "tiles_share"),
		percent(report, "weights_share"), percent(report, "edges_share"));
	print_weights(report, to);
	fprintf(to, "  a token waits for %" JSON_INTEGER_FORMAT
		" reads; of that time the busiest %s reads %.1f %%, the mean %s %.1f %%\n",
		integer(report, "steps"), unit, percent(report, "busiest_share"), unit,
		percent(report, "mean_share"));
	json_object_foreach((json_t *)cycles, tokens, value)
		fprintf(to, "  predicted: %s tokens take %" JSON_INTEGER_FORMAT " cycles\n", tokens,
			json_integer_value(value));
}
