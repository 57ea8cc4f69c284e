#pragma once

/// Everything that `import multiprocessing` gives: processes, pools, and what they share.
///
///     #include <multiprocessing.hpp>
///     namespace mp = multiprocessing;
///
/// Whoever needs a part only, and fast compilation, includes that: <multiprocessing/pool.hpp>. The containers in shared
/// memory have to be included by themselves, as they cost most: <multiprocessing/containers.hpp>.
#include <multiprocessing/connection.hpp>
#include <multiprocessing/context.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/forkserver.hpp>
#include <multiprocessing/functional.hpp>
#include <multiprocessing/futures.hpp>
#include <multiprocessing/insights.hpp>
#include <multiprocessing/pool.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/progress.hpp>
#include <multiprocessing/queues.hpp>
#include <multiprocessing/random.hpp>
#include <multiprocessing/reduction.hpp>
#include <multiprocessing/resources.hpp>
#include <multiprocessing/shareable_list.hpp>
#include <multiprocessing/shared_memory.hpp>
#include <multiprocessing/sharedctypes.hpp>
#include <multiprocessing/spawn.hpp>
#include <multiprocessing/synchronize.hpp>
#include <multiprocessing/task.hpp>
#include <multiprocessing/thread_pool.hpp>
#include <multiprocessing/util.hpp>
