#include <multiprocessing/detail/archive.hpp>
#include <multiprocessing/detail/archive_traits.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <complex>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

namespace mp = multiprocessing;
using namespace mp::detail;

// Most of this file is checked by the compiler.
namespace {

struct plain {
    int number;
    double real;
};
enum class colour : unsigned char { red, green };
struct with_const {
    int const number;
};

class hidden {
    friend class boost::serialization::access;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& number_;
    }
    int number_ = 0;
};
class hidden_final final {
    friend class boost::serialization::access;

public:
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& number_;
    }

private:
    int number_ = 0;
};
struct of_other_library { // the member takes no version
    template <class Archive>
    void serialize(Archive& archive) {
        archive(number);
    }
    int number;
};
struct unrelated { // same name, another meaning
    std::string serialize() const { return {}; }
    int number;
};
struct node {
    std::unique_ptr<node> next;
    std::vector<node> children;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& next& children;
    }
};
struct without_default {
    explicit without_default(int) {}
    template <class Archive>
    void serialize(Archive&, unsigned) {}
};
struct not_copyable_bytes {
    std::string text;
};
struct abstract {
    virtual ~abstract() = default;
    virtual void f() = 0;
    template <class Archive>
    void serialize(Archive&, unsigned) {}
};

} // namespace

namespace elsewhere {
struct with_free {
    int number;
};
template <class Archive>
void serialize(Archive& archive, with_free& value, unsigned) {
    archive& value.number;
}
struct with_free_in_boost {
    int number;
};
} // namespace elsewhere

namespace boost::serialization {
template <class Archive>
void serialize(Archive& archive, elsewhere::with_free_in_boost& value, unsigned int const) {
    archive& value.number;
}
} // namespace boost::serialization

// values that are their bytes
static_assert(bitwise<int> && bitwise<colour> && bitwise<std::byte> && bitwise<plain> && bitwise<with_const>);
static_assert(bitwise<std::chrono::nanoseconds> && bitwise<std::chrono::system_clock::time_point>);
static_assert(bitwise<std::complex<double>> && bitwise<std::array<plain, 3>> && bitwise<int[2][3]>);
static_assert(bitwise<of_other_library> && bitwise<unrelated>);
// values that are not
static_assert(!bitwise<bool> && !bitwise<std::array<bool, 2>> && !bitwise<std::optional<int>>);
static_assert(!bitwise<std::variant<int, double>> && !bitwise<std::string_view> && !bitwise<int*>);

// whose serialize is found
static_assert(user_serialize<output_archive, hidden> && user_serialize<input_archive, hidden> && !bitwise<hidden>);
static_assert(user_serialize<output_archive, hidden_final> && !bitwise<hidden_final>);
static_assert(user_serialize<output_archive, elsewhere::with_free> && !bitwise<elsewhere::with_free>);
static_assert(user_serialize<input_archive, elsewhere::with_free_in_boost> && !bitwise<elsewhere::with_free_in_boost>);
static_assert(!user_serialize<output_archive, plain> && !user_serialize<output_archive, unrelated>);
static_assert(!user_serialize<output_archive, of_other_library>);

// what travels
static_assert(travels<int> && travels<bool> && travels<plain> && travels<with_const> && travels<hidden>);
static_assert(travels<node> && travels<std::vector<node>> && travels<std::unique_ptr<node>>);
static_assert(travels<std::map<std::string, std::vector<std::optional<hidden>>>>);
static_assert(travels<std::tuple<int, std::string>> && travels<std::shared_ptr<hidden const>>);

// what does not
static_assert(!travels<int*> && !travels<char const*> && !travels<void (*)()> && !travels<int plain::*>);
static_assert(!travels<int&> && !travels<std::reference_wrapper<int>> && !travels<std::vector<int*>>);
static_assert(!travels<std::unique_ptr<int*>> && !travels<std::shared_ptr<void>> && !travels<std::unique_ptr<int[]>>);
static_assert(!travels<std::function<void()>> && !travels<std::mutex> && !travels<not_copyable_bytes>);
static_assert(!travels<without_default> && !travels<abstract> && !travels<std::unique_ptr<abstract>>);
static_assert(!travels<std::initializer_list<int>> && !travels<void>);

// views can be sent, and arrive as something else
static_assert(saveable<std::string_view> && !loadable<std::string_view>);
static_assert(saveable<std::span<int const>> && !loadable<std::span<int const>>);
static_assert(saveable<std::tuple<int&, std::string const&>> && !loadable<std::tuple<int&, std::string const&>>);

static_assert(class_version<plain>() == 0);

TEST_CASE("the questions about types have answers at compile time") {
    CHECK(travels<plain>);
    CHECK_FALSE(travels<plain*>);
}
