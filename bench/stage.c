/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * A stage to measure pipelines with: it writes, passes on, or reads so many
 * bytes, in chunks of a size, at a pace, and says what that took.
 */
#include "config.h"

#include <sys/resource.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../helper/clock.h"
#include "../helper/number.h"

#define CHUNK_MAX (1 << 30)
#define CHUNK_DEFAULT (64 << 10)
#define FNV_OFFSET UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

struct stage {
	const char *role;
	bool reads, writes, sums;
	unsigned char *buffer;
	size_t chunk;
	long long bytes; /* to write, or to expect; -1 if not given */
	long long rate;  /* bytes a second; 0 for no limit */
	long long line;  /* a newline at the end of so many bytes; 0: none */
	long long seed;  /* of pseudo-random bytes; 0: the same each time */
	uint64_t random; /* the generator's state */
	uint64_t began;
	uint64_t checksum;
	long long moved;
};

static void
usage(void)
{
	(void)fprintf(stderr,
	    "usage: stage produce|relay|consume [-k] [-c chunk] "
	    "[-l line] [-n bytes] [-r rate] [-s seed]\n");
	exit(64);
}

/* Fill with the next pseudo-random bytes: xorshift64*, seeded once. */
static void
fill_random(struct stage *stage, size_t length)
{
	size_t i, n;
	uint64_t word;

	for (i = 0; i < length; i += n) {
		stage->random ^= stage->random >> 12;
		stage->random ^= stage->random << 25;
		stage->random ^= stage->random >> 27;
		word = stage->random * UINT64_C(0x2545f4914f6cdd1d);
		n = length - i < sizeof(word) ? length - i : sizeof(word);
		memcpy(stage->buffer + i, &word, n);
	}
}

static void
fill_lines(struct stage *stage)
{
	size_t i, line = (size_t)stage->line;

	memset(stage->buffer, 'x', stage->chunk);
	if (line == 0)
		return;
	/* Whole lines, so that each chunk may be the same as the one before. */
	stage->chunk -= stage->chunk % line;
	for (i = line; i <= stage->chunk; i += line)
		stage->buffer[i - 1] = '\n';
}

/* FNV-1a, 64 bits. */
static void
add_to_checksum(struct stage *stage, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++) {
		stage->checksum ^= stage->buffer[i];
		stage->checksum *= FNV_PRIME;
	}
}

/* Return how much is in the buffer now; 0 at the end. */
static size_t
get(struct stage *stage)
{
	ssize_t n;
	long long left;

	if (stage->reads) {
		do
			n = read(STDIN_FILENO, stage->buffer, stage->chunk);
		while (n == -1 && errno == EINTR);
		if (n == -1)
			err(74, "read");
		return (size_t)n;
	}
	left = stage->bytes - stage->moved;
	if (left > (long long)stage->chunk)
		left = (long long)stage->chunk;
	if (stage->seed != 0)
		fill_random(stage, (size_t)left);
	return (size_t)left;
}

static void
put(const struct stage *stage, size_t length)
{
	size_t done;
	ssize_t n;

	for (done = 0; done < length; done += (size_t)n) {
		n = write(STDOUT_FILENO, stage->buffer + done, length - done);
		if (n == -1) {
			if (errno != EINTR)
				err(74, "write");
			n = 0;
		}
	}
}

/* Wait until as much as was moved is due. */
static void
keep_pace(const struct stage *stage)
{
	double due = (double)stage->moved / (double)stage->rate;
	uint64_t at = stage->began + (uint64_t)(due * (double)CLOCK_SECOND);
	struct timespec ts;

	ts.tv_sec = (time_t)(at / CLOCK_SECOND);
	ts.tv_nsec = (long)(at % CLOCK_SECOND);
	while (
	    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

/*
 * Append a line to the file that BENCH_USAGE names, if there is one: role,
 * bytes, checksum, seconds of user and of system time, context switches.
 */
static void
tell(const struct stage *stage)
{
	const char *path = getenv("BENCH_USAGE");
	char line[256];
	struct rusage used;
	int fd, length;

	if (path == NULL)
		return;
	if (getrusage(RUSAGE_SELF, &used) == -1)
		err(71, "getrusage");
	length = snprintf(line, sizeof(line),
	    "%s %lld %016" PRIx64 " %lld.%06ld %lld.%06ld %ld\n", stage->role,
	    stage->moved, stage->checksum, (long long)used.ru_utime.tv_sec,
	    (long)used.ru_utime.tv_usec, (long long)used.ru_stime.tv_sec,
	    (long)used.ru_stime.tv_usec, used.ru_nvcsw + used.ru_nivcsw);
	if (length < 0 || (size_t)length >= sizeof(line))
		errx(70, "usage line");
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd == -1)
		err(73, "%s", path);
	if (write(fd, line, (size_t)length) != length)
		err(74, "%s", path);
	if (close(fd) == -1)
		err(74, "%s", path);
}

static void
parse(struct stage *stage, int argc, char **argv)
{
	long long chunk = CHUNK_DEFAULT;
	int ch, bad = 0;

	if (argc < 2)
		usage();
	stage->role = argv[1];
	stage->reads = strcmp(stage->role, "produce") != 0;
	stage->writes = strcmp(stage->role, "consume") != 0;
	if (stage->reads && stage->writes && strcmp(stage->role, "relay") != 0)
		usage();
	while ((ch = getopt(argc - 1, argv + 1, "c:kl:n:r:s:")) != -1) {
		switch (ch) {
		case 'c':
			bad |= number_parse_size(optarg, CHUNK_MAX, &chunk);
			break;
		case 'k':
			stage->sums = true;
			break;
		case 'l':
			bad |=
			    number_parse_size(optarg, CHUNK_MAX, &stage->line);
			break;
		case 'n':
			bad |=
			    number_parse_size(optarg, INT64_MAX, &stage->bytes);
			break;
		case 'r':
			bad |=
			    number_parse_size(optarg, INT64_MAX, &stage->rate);
			break;
		case 's':
			bad |= number_parse(optarg, INT64_MAX, &stage->seed);
			break;
		default:
			usage();
		}
	}
	stage->chunk = (size_t)chunk;
	if (bad != 0 || optind != argc - 1 || stage->line > chunk ||
	    (!stage->reads && stage->bytes == -1))
		usage();
}

int
main(int argc, char **argv)
{
	struct stage stage = { .bytes = -1, .checksum = FNV_OFFSET };
	size_t length;

	parse(&stage, argc, argv);
	stage.buffer = malloc(stage.chunk);
	if (stage.buffer == NULL)
		err(71, "malloc");
	fill_lines(&stage);
	stage.random = (uint64_t)stage.seed;
	stage.began = clock_now();
	while ((length = get(&stage)) > 0) {
		if (stage.sums)
			add_to_checksum(&stage, length);
		if (stage.writes)
			put(&stage, length);
		stage.moved += (long long)length;
		if (stage.rate != 0)
			keep_pace(&stage);
	}
	free(stage.buffer);
	tell(&stage);
	if (stage.bytes != -1 && stage.moved != stage.bytes)
		errx(65, "%lld bytes of %lld", stage.moved, stage.bytes);
	return 0;
}
