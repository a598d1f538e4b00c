/*  test_line_portable.c - test_line.c again, for processors without SSE2

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#undef __SSE2__
#include "test_line.c"
