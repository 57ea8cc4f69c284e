#pragma once

#include <cstdint>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace multiprocessing_test {

/// A value of JSON. What is asked of a value of another kind throws.
struct Json {
    using List = std::vector<Json>;
    using Object = std::map<std::string, Json>;

    std::variant<std::nullptr_t, bool, double, std::string, List, Object> value{nullptr};

    double number() const { return std::get<double>(value); }
    std::string const& text() const { return std::get<std::string>(value); }
    List const& list() const { return std::get<List>(value); }
    Object const& object() const { return std::get<Object>(value); }
    Json const& operator[](std::string const& key) const { return object().at(key); }
    bool has(std::string const& key) const { return object().contains(key); }
};

/// Reads JSON, exactly as RFC 8259 has it. Throws std::runtime_error for anything else, with the place.
class JsonParser {
public:
    explicit JsonParser(std::string_view text) : text_(text) {}

    Json parse() {
        Json result = value();
        space();
        if (at_ != text_.size()) fail("something after the end");
        return result;
    }

private:
    [[noreturn]] void fail(std::string const& what) const {
        throw std::runtime_error("JSON, byte " + std::to_string(at_) + ": " + what);
    }
    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    bool accept(std::string_view token) {
        bool const is_there = text_.substr(at_).starts_with(token);
        if (is_there) at_ += token.size();
        return is_there;
    }
    void expect(std::string_view token) {
        if (!accept(token)) fail("expected " + std::string(token));
    }
    void space() {
        while (peek() == ' ' || peek() == '\n' || peek() == '\r' || peek() == '\t') ++at_;
    }

    Json value() {
        space();
        if (accept("null")) return {nullptr};
        if (accept("true")) return {true};
        if (accept("false")) return {false};
        if (peek() == '"') return {string()};
        if (accept("[")) return {list()};
        if (accept("{")) return {object()};
        return {number()};
    }

    Json::List list() {
        Json::List items;
        space();
        if (accept("]")) return items;
        do {
            items.push_back(value());
            space();
        } while (accept(","));
        expect("]");
        return items;
    }

    Json::Object object() {
        Json::Object members;
        space();
        if (accept("}")) return members;
        do {
            space();
            std::string key = string();
            space();
            expect(":");
            if (!members.emplace(std::move(key), value()).second) fail("the same key twice");
            space();
        } while (accept(","));
        expect("}");
        return members;
    }

    void digits() {
        if (peek() < '0' || peek() > '9') fail("expected a digit");
        while (peek() >= '0' && peek() <= '9') ++at_;
    }

    double number() {
        std::size_t const begin = at_;
        accept("-");
        if (!accept("0")) digits();
        if (accept(".")) digits();
        if (accept("e") || accept("E")) {
            if (!accept("+")) accept("-");
            digits();
        }
        return std::stod(std::string(text_.substr(begin, at_ - begin)));
    }

    unsigned hexadecimal() {
        std::string const four(text_.substr(at_, 4));
        if (four.size() != 4 || four.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) fail("bad \\u");
        at_ += 4;
        return static_cast<unsigned>(std::stoul(four, nullptr, 16));
    }

    std::string string() {
        expect("\"");
        std::string result;
        while (!accept("\"")) {
            if (at_ == text_.size() || static_cast<unsigned char>(peek()) < ' ') fail("a string does not end");
            if (!accept("\\")) {
                character(result);
            } else if (accept("u")) {
                std::uint32_t code = hexadecimal();
                if (code >= 0xD800 && code < 0xDC00) {
                    expect("\\u");
                    unsigned const low = hexadecimal();
                    if (low < 0xDC00 || low > 0xDFFF) fail("half a pair");
                    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                } else if (code >= 0xDC00 && code < 0xE000) {
                    fail("half a pair");
                }
                append_utf8(result, code);
            } else {
                std::size_t const which = std::string_view("\"\\/bfnrt").find(peek());
                if (at_ == text_.size() || which == std::string_view::npos) fail("bad escape");
                result += "\"\\/\b\f\n\r\t"[which];
                ++at_;
            }
        }
        return result;
    }

    /// A character that is not escaped: it has to be UTF-8 in its shortest form.
    void character(std::string& result) {
        std::size_t const begin = at_;
        auto const first = static_cast<unsigned char>(text_[at_++]);
        std::uint32_t code = first;
        int const more = first < 0x80                    ? 0
                         : first >= 0xC0 && first < 0xE0 ? 1
                         : first >= 0xE0 && first < 0xF0 ? 2
                         : first >= 0xF0 && first < 0xF8 ? 3
                                                         : -1;
        if (more < 0) fail("no UTF-8");
        if (more > 0) code = first & (0x3FU >> more);
        for (int i = 0; i < more; ++i, ++at_) {
            if ((static_cast<unsigned char>(peek()) & 0xC0U) != 0x80) fail("no UTF-8");
            code = code << 6 | (static_cast<unsigned char>(peek()) & 0x3FU);
        }
        append_utf8(result, code);
        std::string_view const read = text_.substr(begin, at_ - begin);
        if (!result.ends_with(read) || (code >= 0xD800 && code < 0xE000) || code > 0x10FFFF) fail("no UTF-8");
    }

    static void append_utf8(std::string& text, std::uint32_t code) {
        auto const add = [&](std::uint32_t byte) { text += static_cast<char>(static_cast<unsigned char>(byte)); };
        if (code < 0x80) return add(code);
        if (code < 0x800) {
            add(0xC0 | code >> 6);
        } else {
            if (code < 0x10000) {
                add(0xE0 | code >> 12);
            } else {
                add(0xF0 | code >> 18);
                add(0x80 | (code >> 12 & 0x3F));
            }
            add(0x80 | (code >> 6 & 0x3F));
        }
        add(0x80 | (code & 0x3F));
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

inline Json parse_json(std::string_view text) { return JsonParser(text).parse(); }

} // namespace multiprocessing_test
