/*  user.h - what user.c offers to body.c

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef USER_H
#define USER_H

#include "zibrato.h"

#ifdef __cplusplus
extern "C" {
#endif

//  Passes every macro with every option in every order. What must arrive is
//  the table in body.c.
void user_measure (zb_t *other);

//  Measures five readings that are not finite, all to be refused.
#define USER_REFUSED 5
void user_measure_refused (double nan, double inf);

#ifdef __cplusplus
}
#endif

#endif
