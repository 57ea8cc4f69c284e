#pragma once

#include <multiprocessing/detail/shared_object.hpp>
#include <multiprocessing/detail/waiting.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

/// What the processes of a test tell each other.
namespace multiprocessing_test {

/// How long a test waits for something that has to come: far longer than it ever takes.
inline constexpr auto patience = std::chrono::seconds(50);

/// A few numbers and a text in shared memory, all zero at first. Copies share; it can be an argument of a Process.
class Board {
public:
    static constexpr std::size_t places = 8;

    static Board make() {
        Board board;
        board.content_ = multiprocessing::detail::shared_object<Content>::make();
        return board;
    }

    std::int64_t get(std::size_t place = 0) const { return content_->numbers[place].load(); }
    void set(std::int64_t number, std::size_t place = 0) const {
        content_->numbers[place].store(number);
        content_->changed.notify_all();
    }
    void add(std::int64_t number = 1, std::size_t place = 0) const {
        content_->numbers[place].fetch_add(number);
        content_->changed.notify_all();
    }

    /// Waits until the number has been reached. False: it has not after a very long time.
    bool await(std::int64_t number, std::size_t place = 0) const {
        return content_->changed.await(
            [&] { return get(place) >= number; }, multiprocessing::platform::clock::now() + patience);
    }

    /// For a child that is to be ended by others: waits for the number 1, and gives up only long after the test has.
    void await_stop(std::size_t place) const {
        for (int times = 0; times < 4 && !await(1, place); ++times) {
        }
    }

    void write(std::string_view text) const {
        std::size_t const length = text.copy(content_->text.data(), content_->text.size() - 1);
        content_->text[length] = '\0';
    }
    /// Whoever reads has to know, from a number or a join, that it has been written.
    std::string text() const { return content_->text.data(); }

private:
    struct Content {
        std::array<std::atomic<std::int64_t>, places> numbers{};
        multiprocessing::detail::event_count changed{};
        std::array<char, 1024> text{};
    };

    friend class boost::serialization::access;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& content_;
    }

    multiprocessing::detail::shared_object<Content> content_;
};

} // namespace multiprocessing_test
