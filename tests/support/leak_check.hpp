#pragma once

/// A listener of the test framework that compares before and after every test case: nothing of what the case made may be
/// left. On Linux: child processes (zombies too), open descriptors, names in /dev/shm, files of ours in the folder for
/// temporary files. On macOS only the files, on Windows nothing.
namespace multiprocessing_test {

/// How many test cases of this process have left something behind; what it was has been printed to standard error.
int leaking_test_cases();

} // namespace multiprocessing_test
