/* SPDX-License-Identifier: MIT
 *
 * The C interface, as C sees it.
 */
#ifndef WAITPROBE_TESTS_C_API_H
#define WAITPROBE_TESTS_C_API_H

#include <waitprobe/c.h>

#ifdef __cplusplus
extern "C" {
#endif
waitprobe_wait *c_begin(void);
void c_end(waitprobe_wait *begun);
/* Waits of the keys "c.idle" and "c.work", of these classes, and scopes of "c.idle_scope" and "c.work_scope". */
void c_classes(void);
/* Calls `inside` in a scope of two waits, and leaves it by a return. */
int c_scope(int (*inside)(void));
#ifdef __cplusplus
}
#endif

#endif
