/*
 * Copyright (c) 2026 The cuprum-pump authors
 * SPDX-License-Identifier: ISC
 */
#ifndef COMPLAIN_H
#define COMPLAIN_H

/*
 * Write one line to standard error: "cuprum-pump: ", the message, a newline.
 * A failure to write it is ignored: there is nowhere left to report it.
 * errno is left as it was.
 */
void complain(const char *fmt, ...)
    __attribute__((__format__(__printf__, 1, 2)));

/*
 * Say nothing more. For when descriptor 2 carries a hop's data, into which a
 * message must not fall.
 */
void complain_mute(void);

#endif
