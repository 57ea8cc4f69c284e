// What it costs to save and to load, against Boost.Serialization's and cereal's binary archives and against memcpy.
//
//     g++ -std=c++20 -O2 -I include benchmarks/archive.cpp -o archive -lboost_serialization && ./archive
//
// Peers whose headers are not installed are left out; without Boost's archives nothing has to be linked. Every message
// gets a fresh archive, as in a queue, and every side a stream or buffer that keeps its memory. Both sides of a pair
// run in turns, in changing order; the ratio is the median of the pairs, above 1: the peer takes longer.

#include <multiprocessing/detail/archive.hpp>

#if __has_include(<cereal/archives/binary.hpp>)
#    define HAS_CEREAL 1
#    include <cereal/archives/binary.hpp>
#    include <cereal/types/map.hpp>
#    include <cereal/types/string.hpp>
#    include <cereal/types/vector.hpp>
#endif
#if __has_include(<boost/archive/binary_oarchive.hpp>)
#    define HAS_BOOST 1
#    include <boost/archive/binary_iarchive.hpp>
#    include <boost/archive/binary_oarchive.hpp>
#    include <boost/serialization/map.hpp>
#    include <boost/serialization/string.hpp>
#    include <boost/serialization/vector.hpp>
#endif

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <istream>
#include <map>
#include <ostream>
#include <span>
#include <streambuf>
#include <string>
#include <vector>

namespace detail = multiprocessing::detail;

struct four_doubles {
    double a = 1, b = 2, c = 3, d = 4;
    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& a& b& c& d;
    }
};
struct nested {
    int id = 1;
    std::string name = "a name that is on the heap";
    four_doubles first;
    std::vector<four_doubles> others = std::vector<four_doubles>(10);
    std::map<std::string, int> map{{"k0", 0}, {"k1", 1}, {"k2", 2}, {"k3", 3}, {"k4", 4}};
    template <class Archive>
    void serialize(Archive& ar, unsigned) {
        ar& id& name& first& others& map;
    }
};
#if defined(HAS_CEREAL)
namespace cereal {
template <class Archive>
void serialize(Archive& ar, four_doubles& v) {
    ar(v.a, v.b, v.c, v.d);
}
template <class Archive>
void serialize(Archive& ar, nested& v) {
    ar(v.id, v.name, v.first, v.others, v.map);
}
} // namespace cereal
CEREAL_SPECIALIZE_FOR_ALL_ARCHIVES(four_doubles, cereal::specialization::non_member_serialize)
CEREAL_SPECIALIZE_FOR_ALL_ARCHIVES(nested, cereal::specialization::non_member_serialize)
#endif

namespace {

/// The fastest stream that the peers can be given: fixed memory, no locale.
class memory_stream : public std::streambuf {
public:
    explicit memory_stream(std::size_t capacity) : memory_(capacity) { rewind(); }
    void rewind() {
        setp(memory_.data(), memory_.data() + memory_.size());
        setg(memory_.data(), memory_.data(), memory_.data() + memory_.size());
    }

protected:
    std::streamsize xsputn(char const* data, std::streamsize size) override {
        std::memcpy(pptr(), data, static_cast<std::size_t>(size));
        pbump(static_cast<int>(size));
        return size;
    }
    std::streamsize xsgetn(char* data, std::streamsize size) override {
        std::memcpy(data, gptr(), static_cast<std::size_t>(size));
        gbump(static_cast<int>(size));
        return size;
    }

private:
    std::vector<char> memory_;
};

template <class T>
void keep(T const& value) {
    asm volatile("" : : "r"(&value) : "memory");
}

template <class Function>
double nanoseconds(int repetitions, Function function) {
    auto const begin = std::chrono::steady_clock::now();
    for (int i = 0; i != repetitions; ++i) function();
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count() / repetitions;
}

double median(std::vector<double> values) {
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
    return values[values.size() / 2];
}

/// Runs both in turns and prints one line.
template <class Ours, class Theirs>
void compare(char const* what, char const* peer, int repetitions, Ours ours, Theirs theirs) {
    std::vector<double> our_times, their_times, ratios;
    nanoseconds(repetitions, ours), nanoseconds(repetitions, theirs); // warm
    for (int pair = 0; pair != 21; ++pair) {
        double first = 0, second = 0;
        if (pair % 2 == 0) {
            first = nanoseconds(repetitions, ours);
            second = nanoseconds(repetitions, theirs);
        } else {
            second = nanoseconds(repetitions, theirs);
            first = nanoseconds(repetitions, ours);
        }
        our_times.push_back(first);
        their_times.push_back(second);
        ratios.push_back(second / first);
    }
    std::printf(
        "%-28s %-8s %12.1f %12.1f %8.2f  (%.2f - %.2f)\n",
        what,
        peer,
        median(our_times),
        median(their_times),
        median(ratios),
        *std::min_element(ratios.begin(), ratios.end()),
        *std::max_element(ratios.begin(), ratios.end()));
}

template <class T>
void compare_all(std::string const& name, int repetitions, T const& value) {
    detail::byte_buffer buffer;
    T loaded{};
    auto const save = [&] {
        buffer.clear();
        detail::output_archive archive(buffer);
        archive << value;
        keep(buffer);
    };
    auto const load = [&] {
        detail::input_archive archive(buffer.bytes());
        archive >> loaded;
        keep(loaded);
    };
    save();
    [[maybe_unused]] auto const with = [&](char const* peer, auto their_save, auto their_load) {
        their_save();
        compare(("save " + name).c_str(), peer, repetitions, save, their_save);
        compare(("load " + name).c_str(), peer, repetitions, load, their_load);
    };
    [[maybe_unused]] memory_stream memory(1 << 20);
    [[maybe_unused]] std::ostream out(&memory);
    [[maybe_unused]] std::istream in(&memory);
#if defined(HAS_BOOST)
    constexpr unsigned flags = boost::archive::no_header | boost::archive::no_codecvt | boost::archive::no_tracking;
    with(
        "boost",
        [&] {
            memory.rewind();
            boost::archive::binary_oarchive archive(static_cast<std::streambuf&>(memory), flags);
            archive << value;
        },
        [&] {
            memory.rewind();
            boost::archive::binary_iarchive archive(static_cast<std::streambuf&>(memory), flags);
            archive >> loaded;
            keep(loaded);
        });
#endif
#if defined(HAS_CEREAL)
    with(
        "cereal",
        [&] {
            memory.rewind();
            cereal::BinaryOutputArchive archive(out);
            archive(value);
        },
        [&] {
            memory.rewind();
            cereal::BinaryInputArchive archive(in);
            archive(loaded);
            keep(loaded);
        });
#endif
}

} // namespace

int main() {
    std::printf("%-28s %-8s %12s %12s %8s  (min - max)\n", "ns per message", "peer", "ours", "peer", "ratio");
    compare_all("int", 20'000, 42);
    compare_all("4 doubles", 20'000, four_doubles());
    compare_all("string of 32", 20'000, std::string(32, 'x'));
    compare_all("vector<double>(1000)", 5'000, std::vector<double>(1000, 1.5));
    std::map<std::string, int> map;
    for (int i = 0; i != 100; ++i) map["key_number_" + std::to_string(i)] = i;
    compare_all("map<string, int>(100)", 500, map);
    compare_all("nested object", 5'000, nested());

    std::vector<double> const large(1 << 20, 1.5); // 8 MiB
    std::vector<double> loaded(large.size());
    std::vector<char> copy(large.size() * sizeof(double));
    detail::byte_buffer buffer;
    compare(
        "save vector<double> of 8 MiB",
        "memcpy",
        5,
        [&] {
            buffer.clear();
            detail::save(buffer, large);
            keep(buffer);
        },
        [&] {
            std::memcpy(copy.data(), large.data(), copy.size());
            keep(copy);
        });
    compare(
        "load vector<double> of 8 MiB",
        "memcpy",
        5,
        [&] {
            detail::input_archive archive(buffer.bytes());
            archive >> loaded;
            keep(loaded);
        },
        [&] {
            std::memcpy(loaded.data(), copy.data(), copy.size());
            keep(loaded);
        });
}
