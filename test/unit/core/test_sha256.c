/*  test_sha256.c - digests that the standards give

    SPDX-License-Identifier: BSD-3-Clause                                    */

#include "../unit.h"

#include "sha256.h"

static void
s_expect (const void *bytes, size_t size, const char *expected)
{
    unsigned char digest[SHA256_BYTES];
    char hex[SHA256_HEX];
    sha256 (bytes, size, digest);
    sha256_hex (digest, hex);
    assert_string_equal (hex, expected);
}

//  FIPS 180-4's examples, and lengths around those of a block.
static void
digests_are_the_standards (void **state)
{
    char million[1000000];
    (void) state;
    memset (million, 'a', sizeof million);
    s_expect (
      "abc", 3,
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    s_expect (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    s_expect (
      million, sizeof million,
      "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    s_expect (
      "", 0,
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

//  RFC 4231, test cases 1 and 2.
static void
hmac_is_the_standards (void **state)
{
    unsigned char digest[SHA256_BYTES], key[20];
    char hex[SHA256_HEX];
    (void) state;
    memset (key, 0x0b, sizeof key);
    sha256_hmac (key, sizeof key, "Hi There", 8, digest);
    sha256_hex (digest, hex);
    assert_string_equal (
      hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    sha256_hmac ("Jefe", 4, "what do ya want for nothing?", 28, digest);
    sha256_hex (digest, hex);
    assert_string_equal (
      hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    assert_true (sha256_same ("abc", "abc", 3));
    assert_false (sha256_same ("abc", "abd", 3));
}

int
main (void)
{
    const struct CMUnitTest tests[] = {
      cmocka_unit_test (digests_are_the_standards),
      cmocka_unit_test (hmac_is_the_standards)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}
