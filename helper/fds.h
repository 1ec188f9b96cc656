/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 */
#ifndef FDS_H
#define FDS_H

#include <stdbool.h>
#include <stddef.h>

enum fds_kind { FDS_FIFO, FDS_SOCKET, FDS_REGULAR, FDS_TERMINAL, FDS_OTHER };

enum fds_side { FDS_READ, FDS_WRITE };

/* "read" or "write": how records and messages name a side. */
const char *fds_side_name(enum fds_side side);

/*
 * Whether fd can be read, or written. 0, or -1 with errno: EBADF (not open,
 * or not open for that direction), EISDIR, EPROTOTYPE (a socket of messages to
 * be read: what of a message finds no room in a buffer would be lost), or what
 * fcntl(2) or fstat(2) say.
 */
int fds_check(int fd, enum fds_side side);

/* What fd is; FDS_OTHER if that cannot be told. */
enum fds_kind fds_kind(int fd);

/*
 * Whether two descriptors are one regular file, and reading on would come to
 * what is written: it would have no end.
 */
bool fds_feeds_itself(int in, int out);

/*
 * Close every descriptor above 2 but those in keep, which is reordered.
 */
void fds_close_others(int *keep, size_t nkeep);

/*
 * Open /dev/null on each of 0, 1 and 2 that is closed, so that nothing else
 * can come to lie there and be taken for standard error. 0, or -1 with errno.
 */
int fds_fill_standard(void);

/* Another descriptor for the same open file, above 2; or -1 with errno. */
int fds_duplicate(int fd);

/*
 * Whether poll(2) reports any of events, an error or the other end's absence
 * for fd right now. 1, 0, or -1 with errno.
 */
int fds_ready(int fd, short events);

/* How many bytes can be read from fd just now; 0 if that cannot be told. */
size_t fds_unread(int fd);

/* Whether O_NONBLOCK is set; false if that cannot be told. */
bool fds_nonblock(int fd);

/* Set or clear O_NONBLOCK. 0, or -1 with errno. */
int fds_set_nonblock(int fd, bool nonblock);

/*
 * Ask for a capacity of size bytes for the pipe behind fd (F_SETPIPE_SZ,
 * fcntl(2)); with only_grow, unless it has as much. A wish, not a demand: no
 * pipe, EPERM, EBUSY or another system leave everything as it was.
 */
void fds_pipe_size(int fd, int size, bool only_grow);

#endif
