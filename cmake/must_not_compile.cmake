# cmake -P must_not_compile.cmake <source> <compiler> [flags...]
#
# Passes if the compiler refuses the source and says what the first line of the source asks for:
#     // expect: <regular expression>
# A second check makes sure that nothing else is wrong: with -D CORRECT the source has to compile.
set(source "${CMAKE_ARGV3}")
set(command "")
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(i RANGE 4 ${last})
    list(APPEND command "${CMAKE_ARGV${i}}")
endforeach()

file(STRINGS "${source}" first LIMIT_COUNT 1)
if(NOT first MATCHES "^// expect: (.+)$")
    message(FATAL_ERROR "${source}: the first line is not '// expect: <regular expression>'")
endif()
set(expected "${CMAKE_MATCH_1}")

execute_process(COMMAND ${command} -D CORRECT -fsyntax-only "${source}" RESULT_VARIABLE result ERROR_VARIABLE output)
if(NOT result EQUAL 0)
    message(FATAL_ERROR "${source} does not compile even with -D CORRECT:\n${output}")
endif()
execute_process(COMMAND ${command} -fsyntax-only "${source}" RESULT_VARIABLE result ERROR_VARIABLE output)
if(result EQUAL 0)
    message(FATAL_ERROR "${source} compiles, but must not")
endif()
if(NOT output MATCHES "${expected}")
    message(FATAL_ERROR "the compiler does not say '${expected}':\n${output}")
endif()
