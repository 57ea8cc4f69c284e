#pragma once

/// The three places where the search for leaks has to know the library.
namespace multiprocessing_test {

/// Makes the library open what it opens once in the life of a process and keeps: called before the first test case, so
/// that no case is blamed for it.
void warm_up();

/// Makes the library let go of what it keeps for later on purpose, such as the fork server: called before and after
/// every test case.
void let_go();

/// Whether a child process is one that the library keeps for later on purpose.
bool is_helper_process(long pid);

} // namespace multiprocessing_test
