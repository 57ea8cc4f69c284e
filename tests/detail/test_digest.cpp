#include <multiprocessing/detail/digest.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <span>
#include <string>

namespace detail = multiprocessing::detail;

namespace {

detail::byte_view bytes_of(std::string const& text) { return std::as_bytes(std::span(text)); }

std::string hex(detail::byte_view bytes) {
    std::string text;
    for (auto const byte : bytes) {
        text += "0123456789abcdef"[std::to_integer<unsigned>(byte) >> 4];
        text += "0123456789abcdef"[std::to_integer<unsigned>(byte) & 15];
    }
    return text;
}

std::string md5(std::string const& text) { return hex(detail::md5(bytes_of(text))); }
std::string sha256(std::string const& text) { return hex(detail::sha256(bytes_of(text))); }
std::string hmac_md5(std::string const& key, std::string const& text) {
    return hex(detail::hmac<detail::md5>(bytes_of(key), bytes_of(text)));
}
std::string hmac_sha256(std::string const& key, std::string const& text) {
    return hex(detail::hmac<detail::sha256>(bytes_of(key), bytes_of(text)));
}

} // namespace

TEST_CASE("MD5: the examples of RFC 1321") {
    CHECK(md5("") == "d41d8cd98f00b204e9800998ecf8427e");
    CHECK(md5("a") == "0cc175b9c0f1b6a831c399e269772661");
    CHECK(md5("message digest") == "f96b697d7cb7938d525a2f31aaf161d0");
    CHECK(md5("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") == "d174ab98d277d9f5a5611c2c9f419d9f");
    CHECK(
        md5("12345678901234567890123456789012345678901234567890123456789012345678901234567890") ==
        "57edf4a22be3c955ac49da2e2107b67a");
}

TEST_CASE("SHA-256: the examples of FIPS 180-4") {
    CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(
        sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    CHECK(sha256(std::string(1'000'000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("the padding at the end of a block") {
    // What hashlib says for texts that leave just enough, or just not enough room for the size.
    CHECK(md5(std::string(55, 'x')) == "04364420e25c512fd958a70738aa8f72");
    CHECK(md5(std::string(56, 'x')) == "668a72d5ba17f08e62dabcafad6db14b");
    CHECK(md5(std::string(64, 'x')) == "c1bb4f81d892b2d57947682aeb252456");
    CHECK(sha256(std::string(55, 'x')) == "d5e285683cd4efc02d021a5c62014694958901005d6f71e89e0989fac77e4072");
    CHECK(sha256(std::string(56, 'x')) == "04c26261370ee7541549d16dee320c723e3fd14671e66a099afe0a377c16888e");
    CHECK(sha256(std::string(64, 'x')) == "7ce100971f64e7001e8fe5a51973ecdfe1ced42befe7ee8d5fd6219506b5393c");
}

TEST_CASE("HMAC: the examples of RFC 2202 and RFC 4231") {
    CHECK(hmac_md5(std::string(16, '\x0b'), "Hi There") == "9294727a3638bb1c13f48ef8158bfc9d");
    CHECK(hmac_md5("Jefe", "what do ya want for nothing?") == "750c783e6ab0b503eaa86e310a5db738");
    CHECK(
        hmac_md5(std::string(80, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First") ==
        "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd");
    CHECK(
        hmac_sha256(std::string(20, '\x0b'), "Hi There") ==
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    CHECK(
        hmac_sha256("Jefe", "what do ya want for nothing?") ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    CHECK(
        hmac_sha256(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First") ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    CHECK(hmac_sha256("", "") == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST_CASE("comparing looks at every byte and at the size") {
    std::string const text = "0123456789abcdef";
    CHECK(detail::equal_in_constant_time(bytes_of(text), bytes_of(text)));
    CHECK(detail::equal_in_constant_time({}, {}));
    for (std::size_t i = 0; i < text.size(); ++i) {
        std::string other = text;
        other[i] = static_cast<char>(other[i] ^ 0x10);
        CHECK_FALSE(detail::equal_in_constant_time(bytes_of(text), bytes_of(other)));
    }
    CHECK_FALSE(detail::equal_in_constant_time(bytes_of(text), bytes_of(text.substr(1))));
}
