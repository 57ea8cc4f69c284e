#include <multiprocessing/detail/archive.hpp>
#include <multiprocessing/detail/archive_boost.hpp>

#include "support/catch.hpp"

#include <forward_list>
#include <map>
#include <stack>
#include <string>
#include <valarray>
#include <vector>

#include <boost/optional.hpp>
#include <boost/serialization/base_object.hpp>
#include <boost/serialization/binary_object.hpp>
#include <boost/serialization/deque.hpp>
#include <boost/serialization/forward_list.hpp>
#include <boost/serialization/map.hpp>
#include <boost/serialization/nvp.hpp>
#include <boost/serialization/optional.hpp>
#include <boost/serialization/queue.hpp>
#include <boost/serialization/split_free.hpp>
#include <boost/serialization/split_member.hpp>
#include <boost/serialization/stack.hpp>
#include <boost/serialization/string.hpp>
#include <boost/serialization/unique_ptr.hpp>
#include <boost/serialization/utility.hpp>
#include <boost/serialization/valarray.hpp>
#include <boost/serialization/vector.hpp>
#include <boost/serialization/version.hpp>

namespace mp = multiprocessing;
using namespace mp::detail;

// Functions as users of Boost.Serialization wrote them; no Boost library is linked.
namespace shop {

class product {
public:
    product() = default;
    explicit product(std::string name) : name_(std::move(name)) {}
    bool operator==(product const&) const = default;

private:
    friend class boost::serialization::access;
    template <class Archive>
    void serialize(Archive& ar, unsigned int const) {
        ar& BOOST_SERIALIZATION_NVP(name_);
    }
    std::string name_;
};

class book : public product {
public:
    book() = default;
    book(std::string name, int pages) : product(std::move(name)), pages_(pages) {}
    bool operator==(book const&) const = default;

private:
    friend class boost::serialization::access;
    template <class Archive>
    void serialize(Archive& ar, unsigned int const) {
        ar& BOOST_SERIALIZATION_BASE_OBJECT_NVP(product);
        ar& boost::serialization::make_nvp("pages", pages_);
    }
    int pages_ = 0;
};

class split {
public:
    int number = 0;

private:
    friend class boost::serialization::access;
    template <class Archive>
    void save(Archive& ar, unsigned int const) const {
        int const twice = 2 * number;
        ar << twice;
    }
    template <class Archive>
    void load(Archive& ar, unsigned int const) {
        int twice = 0;
        ar >> twice;
        number = twice / 2;
    }
    BOOST_SERIALIZATION_SPLIT_MEMBER()
};

struct split_free {
    int number = 0;
};

struct versioned {
    int number = 0;
    unsigned int seen = 0;
    template <class Archive>
    void serialize(Archive& ar, unsigned int const version) {
        seen = version;
        ar& number;
    }
};

struct blob {
    char bytes[4] = {};
    template <class Archive>
    void serialize(Archive& ar, unsigned int const) {
        ar& boost::serialization::make_binary_object(bytes, sizeof bytes);
    }
};

struct raw_array {
    double numbers[3] = {};
    std::string words[2];
    template <class Archive>
    void serialize(Archive& ar, unsigned int const) {
        ar& boost::serialization::make_array(numbers, 3);
        ar& boost::serialization::make_array(words, 2);
    }
};

} // namespace shop

namespace boost::serialization {
template <class Archive>
void save(Archive& ar, shop::split_free const& value, unsigned int const) {
    ar << value.number;
}
template <class Archive>
void load(Archive& ar, shop::split_free& value, unsigned int const) {
    ar >> value.number;
}
} // namespace boost::serialization
BOOST_SERIALIZATION_SPLIT_FREE(shop::split_free)
BOOST_CLASS_VERSION(shop::versioned, 3)

namespace {

template <class T>
T round_trip(T const& value) {
    byte_buffer buffer;
    save(buffer, value);
    return load<T>(buffer.bytes());
}

} // namespace

TEST_CASE("named values and bases") {
    CHECK(round_trip(shop::product("lamp")) == shop::product("lamp"));
    CHECK(round_trip(shop::book("novel", 300)) == shop::book("novel", 300));
}

TEST_CASE("split functions, member and free") {
    shop::split member;
    member.number = 21;
    CHECK(round_trip(member).number == 21);
    CHECK(round_trip(shop::split_free{7}).number == 7);
}

TEST_CASE("versions travel, and a newer one is refused") {
    auto const copy = round_trip(shop::versioned{5, 0});
    CHECK(copy.number == 5);
    CHECK(copy.seen == 3);

    byte_buffer older;
    output_archive out(older);
    out << 1u << 5;
    CHECK(load<shop::versioned>(older.bytes()).seen == 1);

    byte_buffer newer;
    output_archive too_new(newer);
    too_new << 4u << 5;
    CHECK_THROWS_AS(load<shop::versioned>(newer.bytes()), mp::ValueError);
}

TEST_CASE("binary objects and arrays") {
    CHECK(std::string(round_trip(shop::blob{{'a', 'b', 'c', 0}}).bytes) == "abc");
    auto const copy = round_trip(shop::raw_array{{1, 2, 3}, {"a", "b"}});
    CHECK(copy.numbers[2] == 3);
    CHECK(copy.words[1] == "b");
}

TEST_CASE("types that only the headers of Boost know") {
    std::forward_list<std::string> const list{"a", "b"};
    CHECK(round_trip(list) == list);
    CHECK(bool(round_trip(boost::optional<int>(5)) == boost::optional<int>(5)));
    CHECK_FALSE(round_trip(boost::optional<int>()).is_initialized());
    CHECK(round_trip(std::valarray<double>{1, 2})[1] == 2);
    std::stack<int> stack;
    stack.push(1);
    stack.push(2);
    CHECK(round_trip(stack) == stack);
}

TEST_CASE("types that Boost knows too are written in the native way") {
    std::map<std::string, std::vector<int>> const map{{"a", {1, 2}}};
    CHECK(round_trip(map) == map);
    byte_buffer buffer;
    save(buffer, std::vector<int>{1, 2});
    CHECK(buffer.size() == 8 + 2 * sizeof(int));
}

TEST_CASE("the size of a foreign container is not believed") {
    std::uint64_t const huge = std::uint64_t{1} << 40;
    byte_buffer damaged;
    output_archive(damaged) << huge << 0u;
    CHECK_THROWS_AS(load<std::forward_list<int>>(damaged.bytes()), mp::ValueError);
    CHECK_THROWS_AS(load<std::valarray<int>>(damaged.bytes()), mp::ValueError);
}
