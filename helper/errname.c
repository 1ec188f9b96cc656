/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * Errno values by name, for the records: numbers differ between systems.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "errname.h"

#ifdef HAVE_STRERRORNAME_NP

const char *
errname(int error)
{
	const char *name = strerrorname_np(error);

	return name != NULL ? name : "EUNKNOWN";
}

#else

/* clang-format off */
/* What open, poll, read, write and close of POSIX may set. */
static const struct {
	int		 error;
	const char	*name;
} names[] = {
#define NAME(error) { error, #error }
	NAME(EACCES), NAME(EAGAIN), NAME(EBADF), NAME(EBUSY),
	NAME(ECONNREFUSED), NAME(ECONNRESET), NAME(EDESTADDRREQ),
	NAME(EDQUOT), NAME(EEXIST), NAME(EFAULT), NAME(EFBIG), NAME(EINTR),
	NAME(EINVAL), NAME(EIO), NAME(EISDIR), NAME(EMFILE), NAME(EMSGSIZE),
	NAME(ENETDOWN), NAME(ENFILE), NAME(ENOBUFS), NAME(ENODEV),
	NAME(ENOENT), NAME(ENOMEM), NAME(ENOSPC), NAME(ENOSYS),
	NAME(ENOTCONN), NAME(ENOTSUP), NAME(ENXIO), NAME(EOVERFLOW),
	NAME(EPERM), NAME(EPIPE), NAME(EPROTO), NAME(EROFS), NAME(ESPIPE),
	NAME(ESTALE), NAME(ETIMEDOUT), NAME(ETXTBSY),
#undef NAME
};
/* clang-format on */

const char *
errname(int error)
{
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].error == error)
			return names[i].name;
	return "EUNKNOWN";
}

#endif
