# cmake -D WAY=... -D SOURCE=... -D BUILD=... -D WORK=... -D COMPILER=... [-D LAUNCHER=...] -P build_and_run.cmake
#
# Builds consumer/app.cpp as a user would, in the folder WORK, and runs it.
#     one_command   the line that the README promises
#     find_package  from an install tree
#     subproject    with the sources below one's own, as FetchContent does
function(run)
    execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
    if(NOT result EQUAL 0)
        list(JOIN ARGN " " line)
        message(FATAL_ERROR "${line}\nfailed with ${result}:\n${output}")
    endif()
    set(output "${output}" PARENT_SCOPE)
endfunction()

set(consumer "${CMAKE_CURRENT_LIST_DIR}/consumer")
file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")

if(WAY STREQUAL "one_command")
    run(${LAUNCHER} "${COMPILER}" -std=c++20 -I "${SOURCE}/include" "${consumer}/app.cpp" -pthread -o "${WORK}/app")
    run("${WORK}/app")
else()
    if(WAY STREQUAL "find_package")
        run("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${WORK}/installed")
        set(where -D "CMAKE_PREFIX_PATH=${WORK}/installed")
    else()
        set(where -D "MULTIPROCESSING_SOURCE=${SOURCE}")
    endif()
    run("${CMAKE_COMMAND}" -S "${consumer}" -B "${WORK}/build" ${where}
        -D "CMAKE_CXX_COMPILER=${COMPILER}" -D "CMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}")
    run("${CMAKE_COMMAND}" --build "${WORK}/build")
    run("${WORK}/build/app")
endif()
if(NOT output STREQUAL "1 4 9 16 25 \n")
    message(FATAL_ERROR "app printed '${output}'")
endif()
