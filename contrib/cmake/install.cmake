#  install.cmake - what cmake --install puts where
#
#  bin/zibrato, include/zibrato.h, include/zibrato_backend.h for who writes a
#  plugin, zibrato.pc for users of the header alone, zibrato-body.pc for those who
#  want the body from the library, the CMake package with zibrato::zibrato, and the
#  documents.

include (CMakePackageConfigHelpers)

set (package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/zibrato)

if (TARGET zibrato)
    install (TARGETS zibrato)
endif ()
install (FILES zibrato.h contrib/backends/zibrato_backend.h TYPE INCLUDE)
install (FILES README.md LICENSE.txt TYPE DOC)
#  As they stand beside README.md, whose links they are.
install (DIRECTORY contrib/docs DESTINATION ${CMAKE_INSTALL_DOCDIR}/contrib)
install (FILES contrib/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR}/contrib)
install (FILES contrib/completions/zibrato OPTIONAL
         DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
foreach (section 1 3 7)
    file (GLOB pages CONFIGURE_DEPENDS contrib/man/*.${section})
    install (FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach ()

#  find_package (zibrato)
install (TARGETS zibrato-library EXPORT zibratoTargets)
install (EXPORT zibratoTargets NAMESPACE zibrato:: DESTINATION ${package_dir})
configure_package_config_file (
    contrib/cmake/zibratoConfig.cmake.in zibratoConfig.cmake
    INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file (zibratoConfigVersion.cmake
    COMPATIBILITY SameMajorVersion)
install (FILES ${PROJECT_BINARY_DIR}/zibratoConfig.cmake
               ${PROJECT_BINARY_DIR}/zibratoConfigVersion.cmake
         DESTINATION ${package_dir})

#  pkg-config --cflags --libs zibrato, or zibrato-body, which Requires: the other
#  for header, libzmq and threads. Their paths are relative to where the files
#  are, so that cmake --install --prefix may move it.
file (RELATIVE_PATH pc_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig
      ${CMAKE_INSTALL_PREFIX})
string (REGEX REPLACE "/$" "" pc_prefix "${pc_prefix}")
if (IS_ABSOLUTE ${CMAKE_INSTALL_INCLUDEDIR})
    set (pc_includedir ${CMAKE_INSTALL_INCLUDEDIR})
else ()
    set (pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif ()
foreach (package zibrato zibrato-body)
    configure_file (contrib/cmake/${package}.pc.in ${package}.pc @ONLY)
    install (FILES ${PROJECT_BINARY_DIR}/${package}.pc
             DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach ()
