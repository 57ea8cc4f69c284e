#pragma once

/// Catch2, whichever of its versions is installed: 2.13 of the distributions or 3.x.
#if defined(__has_include) && __has_include(<catch2/catch_all.hpp>)
#    include <catch2/catch_all.hpp>

using Catch::Approx;
#else
#    include <catch2/catch.hpp>
#endif
