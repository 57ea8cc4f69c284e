#pragma once

/// Everything that `import multiprocessing` gives: processes, pools, and what they share.
///
///     #include <multiprocessing.hpp>
///     namespace mp = multiprocessing;
#include <multiprocessing/connection.hpp>
#include <multiprocessing/context.hpp>
#include <multiprocessing/errors.hpp>
#include <multiprocessing/forkserver.hpp>
#include <multiprocessing/functional.hpp>
#include <multiprocessing/pool.hpp>
#include <multiprocessing/process.hpp>
#include <multiprocessing/reduction.hpp>
#include <multiprocessing/spawn.hpp>
#include <multiprocessing/util.hpp>
