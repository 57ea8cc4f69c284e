# multiprocessing_find_headers(<variable> FOLDER <folder> HEADER <header>)
#
# Sets the cache variable to the directory that contains <folder>/<header>. When we compile for another system, that system
# seldom has header-only libraries of its own; those of this machine serve as well. Its whole include directory must never
# be searched by a cross compiler, so the one folder is linked into the build tree.
function(multiprocessing_find_headers variable)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "FOLDER;HEADER" "")
    find_path(${variable} ${arg_FOLDER}/${arg_HEADER} DOC "Directory that contains ${arg_FOLDER}/")
    mark_as_advanced(${variable})
    if(${variable} OR NOT CMAKE_CROSSCOMPILING)
        return()
    endif()
    find_path(host_directory ${arg_FOLDER}/${arg_HEADER} NO_CACHE NO_CMAKE_FIND_ROOT_PATH PATHS /usr/include /usr/local/include)
    if(host_directory)
        set(linked "${PROJECT_BINARY_DIR}/host_include/${arg_FOLDER}")
        file(MAKE_DIRECTORY "${linked}")
        file(CREATE_LINK "${host_directory}/${arg_FOLDER}" "${linked}/${arg_FOLDER}" SYMBOLIC)
        set(${variable} "${linked}" CACHE PATH "Directory that contains ${arg_FOLDER}/" FORCE)
    endif()
endfunction()
