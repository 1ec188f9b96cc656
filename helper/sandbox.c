/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * What the program refuses to have or to do.
 */
#include "config.h"

#ifdef HAVE_SYS_AUXV_H
#include <sys/auxv.h>
#endif
#include <unistd.h>

#include "sandbox.h"

bool
sandbox_elevated(void)
{
#if defined(HAVE_SYS_AUXV_H) && defined(AT_SECURE)
	return getauxval(AT_SECURE) != 0;
#else
	return geteuid() != getuid() || getegid() != getgid();
#endif
}
