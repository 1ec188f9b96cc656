/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * Run a fuzz target over the files named as arguments, without libFuzzer.
 * Exits 0 if every promise held; aborts at the first that did not, and names
 * the file.
 */
#include "config.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

#define INPUT_MAX (64 << 10)

static const char *volatile current;

static void
name_input(int number)
{
	static const char text[] = "replay: the input was ";
	ssize_t n;

	n = write(STDERR_FILENO, text, sizeof(text) - 1);
	n += write(STDERR_FILENO, current, strlen(current));
	n += write(STDERR_FILENO, "\n", 1);
	(void)n;
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}

/* The size of the file's content, now in data. */
static size_t
load(const char *name, uint8_t *data)
{
	FILE *file = fopen(name, "rb");
	size_t size;

	if (file == NULL) {
		perror(name);
		exit(EXIT_FAILURE);
	}
	size = fread(data, 1, INPUT_MAX, file);
	if (ferror(file) || !feof(file)) {
		(void)fprintf(stderr, "%s: cannot be read, or too long\n",
		    name);
		exit(EXIT_FAILURE);
	}
	(void)fclose(file);
	return size;
}

/* A copy of exactly that size, so that a sanitizer sees a read beyond it. */
static void
replay(const char *name)
{
	static uint8_t data[INPUT_MAX];
	size_t size = load(name, data);
	uint8_t *copy = malloc(size + 1);

	if (copy == NULL) {
		perror("replay");
		exit(EXIT_FAILURE);
	}
	memcpy(copy + 1, data, size);
	current = name;
	(void)LLVMFuzzerTestOneInput(copy + 1, size);
	free(copy);
}

int
main(int argc, char **argv)
{
	static const int fatal[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE,
		SIGALRM };
	size_t i;
	int arg;

	for (i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		(void)signal(fatal[i], name_input);
	if (argc < 2) {
		(void)fprintf(stderr, "usage: %s FILE...\n", argv[0]);
		return EXIT_FAILURE;
	}
	for (arg = 1; arg < argc; arg++) {
		(void)alarm(60); /* none takes a second */
		replay(argv[arg]);
	}
	printf("%s: %d inputs, every promise held\n", argv[0], argc - 1);
	return EXIT_SUCCESS;
}
