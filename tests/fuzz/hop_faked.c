/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 *
 * The code under test, with the fakes in the place of system calls.
 */
#include "config.h"

#include "hop_world.h"

/* NOLINTBEGIN(bugprone-suspicious-include) */
#include "../../helper/fds.c"
#include "../../helper/sink.c"
#include "../../helper/move.c"
#include "../../helper/hop.c"
#include "../../helper/hop_view.c"
/* NOLINTEND(bugprone-suspicious-include) */
