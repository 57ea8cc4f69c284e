# Fails if one of the PROGRAMS has, from the library, a static object of a function that is guarded by a lock. Objects of a
# thread have guards as well, but nobody waits for these.
foreach(program IN LISTS PROGRAMS)
    execute_process(COMMAND ${NM} -C -f sysv ${program} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
    if(NOT symbols MATCHES "multiprocessing::")
        message(FATAL_ERROR "${program} has no symbols")
    endif()
    string(REGEX MATCHALL "guard variable for multiprocessing::[^\n]*\\)::[^\n]*" guards "${symbols}")
    list(FILTER guards EXCLUDE REGEX "\\| *TLS *\\|")
    if(guards)
        list(JOIN guards "\n" text)
        message(SEND_ERROR "${program}:\n${text}")
    endif()
endforeach()
