/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <stdbool.h>

/*
 * Whether the program was started with more rights than its caller has:
 * set-user-ID, set-group-ID or file capabilities (AT_SECURE, getauxval(3)).
 */
bool sandbox_elevated(void);

#endif
