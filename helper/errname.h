/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 */
#ifndef ERRNAME_H
#define ERRNAME_H

/*
 * The symbolic name of an errno value, as errno(3) lists it: "EIO" for EIO.
 * "EUNKNOWN" for a number that this system does not name; never NULL.
 */
const char *errname(int error);

#endif
