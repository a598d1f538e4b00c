#  page.cmake - what zibrato-server has of the page: its files, and uPlot
#
#  uPlot comes from npm, as package-lock.json pins it by its hash; or from a folder
#  with its dist/, where a build has no network: ZIBRATO_UPLOT_DIR.
#
#  SPDX-License-Identifier: BSD-3-Clause

set (page ${CMAKE_CURRENT_LIST_DIR})
set (page_build ${CMAKE_CURRENT_BINARY_DIR}/page)

if (ZIBRATO_UPLOT_DIR)
    set (uplot ${ZIBRATO_UPLOT_DIR}/dist)
else ()
    find_program (ZIBRATO_NPM npm)
    if (NOT ZIBRATO_NPM)
        message (FATAL_ERROR "The page of `zibrato serve` needs npm "
            "(\"contrib/dependencies build\" installs it), or uPlot in "
            "-DZIBRATO_UPLOT_DIR=DIR; -DZIBRATO_BUILD_SERVER=OFF leaves it out")
    endif ()
    set (uplot ${page_build}/node_modules/uplot/dist)
    add_custom_command (
        OUTPUT ${uplot}/uPlot.iife.min.js ${uplot}/uPlot.min.css
        COMMAND ${CMAKE_COMMAND} -E copy ${page}/package.json
                ${page}/package-lock.json ${page_build}
        COMMAND ${ZIBRATO_NPM} ci --ignore-scripts --no-audit --no-fund --silent
        COMMAND ${CMAKE_COMMAND} -E touch ${uplot}/uPlot.iife.min.js
                ${uplot}/uPlot.min.css
        DEPENDS ${page}/package-lock.json
        WORKING_DIRECTORY ${page_build}
        COMMENT "Taking uPlot from npm" VERBATIM)
    file (MAKE_DIRECTORY ${page_build})
endif ()

file (GLOB page_files CONFIGURE_DEPENDS ${page}/*.html ${page}/*.css ${page}/*.js
      ${page}/*.svg)
list (APPEND page_files ${uplot}/uPlot.iife.min.js ${uplot}/uPlot.min.css)
add_custom_command (
    OUTPUT ${page_build}/assets_data.c
    COMMAND ${CMAKE_COMMAND} -DOUT=${page_build}/assets_data.c
            "-DFILES=${page_files}" -P ${page}/pack.cmake
    DEPENDS ${page_files} ${page}/pack.cmake
    COMMENT "Packing the page" VERBATIM)
target_sources (zibrato-server PRIVATE ${page_build}/assets_data.c)
