#  pack.cmake - packs the page's files into C: gzipped, with type and ETag
#
#      cmake -DOUT=FILE.c "-DFILES=FILE;FILE" -P pack.cmake
#
#  SPDX-License-Identifier: BSD-3-Clause

set (types_html "text/html; charset=utf-8")
set (types_css "text/css; charset=utf-8")
set (types_js "text/javascript; charset=utf-8")
set (types_svg "image/svg+xml")

set (data "")
set (rows "")
foreach (file ${FILES})
    cmake_path (GET file FILENAME name)
    cmake_path (GET file EXTENSION LAST_ONLY ending)
    string (SUBSTRING "${ending}" 1 -1 ending)
    string (MAKE_C_IDENTIFIER "${name}" identifier)
    file (SHA256 ${file} hash)
    string (SUBSTRING ${hash} 0 20 hash)
    file (ARCHIVE_CREATE OUTPUT ${OUT}.gz PATHS ${file} FORMAT raw
          COMPRESSION GZip COMPRESSION_LEVEL 9
          MTIME "1970-01-01 00:00:00")
    file (READ ${OUT}.gz bytes HEX)
    file (REMOVE ${OUT}.gz)
    string (REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
    string (APPEND data
            "static const unsigned char s_${identifier}[] = {${bytes}};\n")
    string (APPEND rows "  {\"${name}\", \"${types_${ending}}\", "
            "\"\\\"${hash}\\\"\", s_${identifier}, sizeof s_${identifier}},\n")
endforeach ()

file (WRITE ${OUT} "/*  Made by pack.cmake  */\n\n#include \"assets.h\"\n\n"
      "${data}\nconst asset_t assets[] = {\n${rows}"
      "  {NULL, NULL, NULL, NULL, 0}};\n")
