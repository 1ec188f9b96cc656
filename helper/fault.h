/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * Faults on demand, in test builds alone (configure --enable-faults). Include
 * this after all other headers: system calls below it can be made to fail.
 *
 * CUPRUM_PUMP_FAULTS holds faults separated by commas, each CALL:WHAT:WHEN.
 * CALL is a name from the list below. WHAT is an errno name, or "short": the
 * call moves no more than a third of what it was asked for. WHEN is a number
 * (that call of its kind, from 1) or %N (every Nth). At exit, for each fault a
 * line "CALL:WHAT:WHEN COUNT" goes to the descriptor whose number is in
 * CUPRUM_PUMP_FAULT_REPORT: a test whose fault was never reached must fail.
 *
 * CUPRUM_PUMP_TRESPASS names what fault_trespass then tries and the sandbox
 * must not let through: open, socket, fork, exec, ptrace, kill.
 */
#ifndef FAULT_H
#define FAULT_H

#ifdef ENABLE_FAULTS

#include <sys/socket.h>
#include <sys/types.h>
#include <poll.h>
#include <stddef.h>

ssize_t fault_read(int fd, void *buffer, size_t size);
ssize_t fault_write(int fd, const void *buffer, size_t size);
int fault_poll(struct pollfd *fds, nfds_t nfds, int timeout);
int fault_close(int fd);
int fault_fcntl_int(int fd, int command, int argument);
ssize_t fault_recvmsg(int fd, struct msghdr *message, int flags);
void *fault_malloc(size_t size);
void *fault_calloc(size_t count, size_t size);
ssize_t fault_splice(int in, void *in_offset, int out, void *out_offset,
    size_t size, unsigned int flags);
void fault_trespass(void);

#ifndef FAULT_C
#define read(...) fault_read(__VA_ARGS__)
#define write(...) fault_write(__VA_ARGS__)
#define poll(...) fault_poll(__VA_ARGS__)
#define close(...) fault_close(__VA_ARGS__)
#define FAULT_FCNTL(fd, command, argument, ...) \
	fault_fcntl_int(fd, command, argument)
#define fcntl(...) FAULT_FCNTL(__VA_ARGS__, 0, 0)
#define recvmsg(...) fault_recvmsg(__VA_ARGS__)
#define malloc(...) fault_malloc(__VA_ARGS__)
#define calloc(...) fault_calloc(__VA_ARGS__)
#define splice(...) fault_splice(__VA_ARGS__)
#endif

#else

#define fault_trespass() ((void)0)

#endif

#endif
