/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * What the fuzz targets share: the entry point, the input, the verdict.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* One input; always 0. libFuzzer calls it, or replay.c. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise of the code under test that must hold for every input. */
#define REQUIRE(promise) \
	((promise) ? (void)0 : fuzz_broken(__FILE__, __LINE__, #promise))

static inline void
fuzz_broken(const char *file, int line, const char *promise)
{
	(void)fprintf(stderr, "%s:%d: does not hold: %s\n", file, line,
	    promise);
	abort();
}

/* An input that is read from the front; past its end it is all zeros. */
struct fuzz_bytes {
	const uint8_t *next;
	size_t left;
};

static inline uint8_t
fuzz_byte(struct fuzz_bytes *b)
{
	if (b->left == 0)
		return 0;
	b->left--;
	return *b->next++;
}

static inline uint16_t
fuzz_word(struct fuzz_bytes *b)
{
	unsigned high = fuzz_byte(b);

	return (uint16_t)(high << 8 | fuzz_byte(b));
}

#endif
