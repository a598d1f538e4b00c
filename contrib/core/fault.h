/*  fault - places where a test may stop the worker dead

    Only the build for tests (ZIBRATO_FAULTS) has them: with ZB_FAULT=NAME:N in
    its environment the process kills itself when it passes that place for the
    Nth time. Everywhere else they are nothing at all.

    The list is what a test walks through, so that no step of a commit is
    forgotten: a place that is not in it does not compile.

    SPDX-License-Identifier: BSD-3-Clause                                    */

#ifndef ZB_FAULT_H
#define ZB_FAULT_H

//  In the order in which a worker passes them.
#define FAULT_POINTS(X)                                                        \
    X (journal_before)   /* a batch of messages was read, and not written */   \
    X (journal_torn)     /* half of it was */                                  \
    X (journal_after)    /* all of it was; not counted yet */                  \
    X (counted)          /* and counted */                                     \
    X (rotated)          /* the next window has its journal */                 \
    X (request_torn)     /* half of a request is in its file */                \
    X (request_after)    /* all of it */                                       \
    X (requests_synced)  /* all requests are on disk, no state yet */          \
    X (ledger_torn)      /* half of the ledger's new state is written */       \
    X (ledger_written)   /* all of it, but for the end that makes it count */  \
    X (committed)        /* that, too; the journal is still there */           \
    X (snapshot_written) /* a new ledger is whole, and has not its name yet */ \
    X (snapshot_named)   /* it has, and the old one is still there */          \
    X (journals_removed) /* nothing was sent yet */                            \
    X (released)         /* the sender may have what was committed */          \
    X (send_before)      /* a request is about to be sent */                   \
    X (send_after)       /* the service has it, its file is still there */     \
    X (removed)          /* and is not */                                      \
    X (split_before)     /* a refused request is about to become two */        \
    X (split_half)       /* one half has its file */                           \
    X (split_written)    /* both have; so has the whole */                     \
    X (split_after)      /* the whole has not any more */                      \
    X (reject_before)    /* a row is refused and about to be set aside */      \
    X (reject_after)     /* it is, and its request is still there */

#define FAULT_ENUM_(name) FAULT_##name,
enum { FAULT_POINTS (FAULT_ENUM_) FAULT_COUNT };
#undef FAULT_ENUM_

#define FAULT(name) fault_point (FAULT_##name)

#ifdef ZIBRATO_FAULTS
//  Kills the process, if it is to die here.
void fault_point (int point);
#else
#define fault_point(point) ((void) (point))
#endif

#endif
