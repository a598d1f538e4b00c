/*  test_assets.c - are the page's files in the executable, as they were?

    SPDX-License-Identifier: BSD-3-Clause                                    */

//  ctest: NOTSAN - there is one thread

#include "../unit.h"

#include "buffer.h"

#include "../../../contrib/server/assets.c"

#include <stdlib.h>

static void
test_files (void **state)
{
    char folder[4096];
    size_t files = 0;
    (void) state;
    snprintf (folder, sizeof folder, "%s/contrib/server/page",
              getenv ("ZB_SOURCE"));
    assets_folder (folder);
    for (const asset_t *asset = assets; asset->name; asset++, files++) {
        buffer_t file = {NULL, 0, 0}, unpacked = {NULL, 0, 0};
        assert_ptr_equal (assets_find (asset->name), asset);
        assert_string_equal (assets_type (asset->name), asset->type);
        assets_unpack (asset, &unpacked);
        assert_true (asset->size < unpacked.size);
        //  What is not from here is from npm.
        if (assets_read (asset->name, &file)) {
            assert_int_equal (file.size, unpacked.size);
            assert_memory_equal (file.text, unpacked.text, file.size);
        }
        else
            assert_memory_equal (asset->name, "uPlot.", 6);
        buffer_clear (&file);
        buffer_clear (&unpacked);
    }
    assert_true (files > 20);
    assert_null (assets_find ("page.js"));
    assets_folder (NULL);
}

//  Names come from whoever asks.
static void
test_names (void **state)
{
    static const char *const names[] = {"../page.c", "..",          ".",    "",
                                        "a/b.js",    "/etc/passwd", ".html"};
    buffer_t file = {NULL, 0, 0};
    (void) state;
    assert_false (assets_read ("index.html", &file));
    assets_folder (getenv ("ZB_SOURCE"));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_false (assets_read (names[i], &file) && file.size);
    assert_null (assets_type ("CMakeLists"));
    assert_null (assets_type ("zibrato.h"));
    assets_folder (NULL);
    buffer_clear (&file);
}

int
main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (test_files),
                                       cmocka_unit_test (test_names)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
