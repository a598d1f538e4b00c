/*  backends - those that are built in

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_BACKENDS_H
#define ZB_BACKENDS_H

#include "zibrato_backend.h"

extern const zb_backend_t zb_exec_backend;
extern const zb_backend_t zb_graphite_backend;
extern const zb_backend_t zb_influx_backend;
extern const zb_backend_t zb_librato_backend;
extern const zb_backend_t zb_otlp_backend;
extern const zb_backend_t zb_prometheus_backend;
extern const zb_backend_t zb_remote_write_backend;
extern const zb_backend_t zb_serve_backend;  //  in contrib/server
extern const zb_backend_t zb_statsd_backend;
extern const zb_backend_t zb_stdout_backend;

#endif
