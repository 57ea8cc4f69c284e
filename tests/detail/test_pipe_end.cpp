// not on windows
#include <multiprocessing/detail/pipe_end.hpp>

#include "platform/child_program.hpp"
#include "support/catch.hpp"
#include "support/forked.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace mp = multiprocessing;
using namespace mp::detail;
using multiprocessing_test::Channel;
using multiprocessing_test::in_child;
namespace platform = mp::platform;

namespace {

/// Both ends in this process: `one` sends on `mine`, `two` receives on `other`.
struct Fixture {
    shared_object<pipe_rings> rings = shared_object<pipe_rings>::make();
    Channel channel;
    pipe_end one{rings, false};
    pipe_end two{rings, true};

    bool send(std::string const& message, std::span<platform::native_handle const> handles = {}) {
        std::error_code error;
        bool const sent = one.send(std::as_bytes(std::span(message)), handles, channel.mine, error);
        if (error) throw mp::OSError(error, "send");
        return sent;
    }
    std::optional<std::string> receive(std::vector<unique_handle>* handles = nullptr) {
        bool lost = false;
        if (!two.begin(channel.other, platform::never, handles, lost)) return std::nullopt;
        std::string text(static_cast<std::size_t>(two.size()), '\0');
        for (std::size_t done = 0; done < text.size();) {
            auto const rest = std::as_writable_bytes(std::span(text)).subspan(done);
            std::size_t const count = two.read(rest, channel.other, platform::never);
            if (count == 0) return text.substr(0, done);
            done += count;
        }
        two.finish(channel.other);
        return text;
    }
    pipe_end::arrival poll() { return two.await(channel.other, platform::deadline::min()); }
    /// How many bytes there are on the stream. Takes them.
    int bells() {
        std::error_code error;
        int count = 0;
        std::byte byte{};
        for (; platform::peek_stream(channel.other, error).what == platform::stream_front::kind::byte; ++count) {
            platform::read_some(channel.other, {&byte, 1}, error);
        }
        return count;
    }
};

} // namespace

TEST_CASE("the bell rings when the ring fills, and not for every message") {
    Fixture f;
    for (int i = 0; i < 10; ++i) f.send("message");
    CHECK(f.poll() == pipe_end::arrival::message);
    CHECK(f.bells() == 1);

    Fixture g;
    for (int i = 0; i < 10; ++i) {
        g.send("message");
        CHECK(g.receive() == "message"); // never looked in vain
    }
    CHECK(g.receive() == std::nullopt);
    CHECK(g.poll() == pipe_end::arrival::nothing); // takes the bell away and asks for another
    CHECK(g.bells() == 0);
    g.send("message");
    CHECK(g.bells() == 1);
}

TEST_CASE("a bell too many is taken away") {
    Fixture f;
    for (int i = 0; i < 3; ++i) {
        std::error_code error;
        platform::write_byte_at_once(f.channel.mine, std::byte{0x81}, error);
    }
    CHECK(f.poll() == pipe_end::arrival::nothing);
    CHECK(f.bells() == 0);
}

TEST_CASE("handles find their messages, and those without one are closed") {
    Fixture f;
    std::array<platform::native_handle, 1> const handle{f.channel.mine};
    std::byte const orphan{0xc0 + 1};
    std::error_code error;
    in_child([&] { // a sender that dies when it has sent its handles
        pipe_ring::writer(f.rings->ring[0]).number_handles();
        return 0;
    });
    platform::write_stream(f.channel.mine, {&orphan, 1}, {}, handle, error);
    f.send("without");
    f.send("with", handle);
    f.send("with another", handle);
    std::vector<unique_handle> received;
    CHECK(f.receive(&received) == "without");
    CHECK(received.empty());
    CHECK(f.receive(&received) == "with");
    CHECK(received.size() == 1);
    CHECK(f.receive() == "with another");
    CHECK(f.poll() == pipe_end::arrival::nothing);

    platform::write_stream(f.channel.mine, {&orphan, 1}, {}, handle, error);
    CHECK(f.poll() == pipe_end::arrival::nothing);
    CHECK(f.bells() == 0);

    // Somebody has taken the handles and died.
    f.send("lost", handle);
    CHECK(f.bells() == 2);
    f.send("kept", handle);
    CHECK(f.receive(&received) == "kept");
    CHECK(received.size() == 2);
}

TEST_CASE("a message that follows handles has a bell of its own") {
    Fixture f;
    std::array<platform::native_handle, 1> const handle{f.channel.mine};
    f.send("one", handle);
    f.send("two", handle);
    f.send("three");
    CHECK(f.receive() == "one");
    CHECK(f.receive() == "two"); // takes the bell away that lay before its handles
    CHECK(f.bells() == 1);
    CHECK(f.receive() == "three");
}

TEST_CASE("the stream is all there is, once the ring is switched off and empty") {
    Fixture f;
    f.send("before");
    f.two.use_stream_only(f.channel.other);
    CHECK_FALSE(f.send("after"));
    CHECK_FALSE(f.two.is_over());
    CHECK(f.poll() == pipe_end::arrival::message);
    CHECK(f.receive() == "before");
    CHECK(f.bells() == 0);
    CHECK(f.poll() == pipe_end::arrival::nothing);
    CHECK(f.two.is_over());
}

TEST_CASE("nobody is at the other end") {
    Fixture f;
    f.send("left");
    f.channel.close_mine();
    f.one.note_closing();
    CHECK(f.receive() == "left");
    CHECK(f.poll() == pipe_end::arrival::stream);
    CHECK(f.two.is_over());
    f.two.release_memory(f.channel.other);
    std::error_code error;
    std::byte const byte{};
    CHECK(f.two.send({&byte, 1}, {}, f.channel.other, error));
    CHECK(error == std::errc::broken_pipe);
}

TEST_CASE("a message whose writer is killed ends early, and the next one comes") {
    Fixture f;
    std::string const large(3'000'000, 'x');
    {
        multiprocessing_test::Forked child([&] {
            f.send(large); // more than there is room for
            return 0;
        });
        while (f.rings->ring[0].is_empty()) platform::yield();
        child.kill();
    }
    CHECK(f.receive()->size() < large.size());
    f.two.finish(f.channel.other);
    f.send("next");
    CHECK(f.receive() == "next");
}

TEST_CASE("a message that is given up is passed over") {
    Fixture f;
    std::string const large(500'000, 'x');
    f.send(large);
    f.send("next");
    bool lost = false;
    REQUIRE(f.two.begin(f.channel.other, platform::never, nullptr, lost));
    f.two.finish(f.channel.other);
    CHECK(f.receive() == "next");
}
