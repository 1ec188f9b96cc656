/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 */
#ifndef RELEASE_H
#define RELEASE_H

#include "hop.h"

/* Requests to release hops: the number of one in each line. */
struct release {
	int fd; /* -1: no more will come */
	char line[16];
	size_t length; /* of the line so far; or its size: too long */
};

/*
 * Take what poll(2) has announced, and release the hops that it names. A line
 * that is anything but the number of a hop means nothing.
 */
void release_read(struct release *, struct hop *hops, size_t nhops,
    uint64_t now);

#endif
