// runs per start method
#include <multiprocessing/process.hpp>

#include "support/board.hpp"
#include "support/catch.hpp"

#include <string>
#include <vector>

namespace mp = multiprocessing;
using multiprocessing_test::Board;

namespace {

/// Adds up what stands on the board until it is told to stop: an echo server in small.
class Adder : public mp::SpawnableProcess<Adder> {
public:
    Adder() = default;
    Adder(Board board, std::vector<int> numbers)
        : SpawnableProcess({.name = "adder"}), board_(std::move(board)), numbers_(std::move(numbers)) {}

    void run() override {
        std::int64_t sum = 0;
        for (int const number : numbers_) sum += number;
        board_.write(mp::current_process().name());
        board_.set(&mp::current_process() == this, 2);
        for (std::int64_t round = 1; round <= 3; ++round) {
            board_.await(round, 0);
            sum += board_.get(1);
            board_.set(sum, 3);
            board_.set(round, 4);
        }
    }

private:
    friend class boost::serialization::access;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive& board_& numbers_;
    }

    Board board_;
    std::vector<int> numbers_;
};

class Stateless : public mp::SpawnableProcess<Stateless> {
    void run() override { mp::exit(7); }
};

/// Without SpawnableProcess.
class ForkOnly : public mp::Process {
public:
    explicit ForkOnly(int number) : number_(number) {}
    void run() override { mp::exit(number_); }

private:
    int number_;
};

} // namespace

TEST_CASE("a derived class overrides run and has state of its own") {
    Board const board = Board::make();
    Adder process(board, {10, 20});
    CHECK(process.name() == "adder");
    process.start();
    for (std::int64_t round = 1; round <= 3; ++round) {
        board.set(round * 100, 1);
        board.set(round, 0);
        REQUIRE(board.await(round, 4));
    }
    process.join();
    CHECK(process.exitcode() == 0);
    CHECK(board.get(2) == 1);
    CHECK(board.get(3) == 630);
    CHECK(board.text() == "adder");
}

TEST_CASE("a derived class without state needs nothing") {
    Stateless process;
    process.start();
    process.join();
    CHECK(process.exitcode() == 7);
}

TEST_CASE("run of a derived class may be called here") {
    Board const board = Board::make();
    board.set(3, 0);
    Adder process(board, {1});
    process.run();
    CHECK(board.get(3) == 1);
    CHECK(process.pid() == std::nullopt);
}

TEST_CASE("a class that is only derived from Process can be forked and nothing else") {
    ForkOnly process(9);
    if (process.start_method() == mp::StartMethod::fork) {
        process.start();
        process.join();
        CHECK(process.exitcode() == 9);
    } else {
        CHECK_THROWS_AS(process.start(), mp::PicklingError);
        CHECK(process.pid() == std::nullopt);
        CHECK(mp::active_children().empty());
    }
}

namespace {

std::vector<std::unique_ptr<mp::Process>> of_several_kinds(Board const& board) {
    std::vector<std::unique_ptr<mp::Process>> all;
    all.push_back(std::make_unique<Adder>(board, std::vector<int>{1}));
    all.push_back(std::make_unique<Stateless>());
    all.push_back(std::make_unique<mp::Process>([](int number) { mp::exit(number); }, 3));
    return all;
}

} // namespace

TEST_CASE("processes of several classes in one container") {
    Board const board = Board::make();
    board.set(3, 0);
    auto const all = of_several_kinds(board);
    std::vector<int> codes;
    for (auto const& process : all) process->start();
    for (auto const& process : all) {
        process->join();
        codes.push_back(process->exitcode().value());
    }
    CHECK(codes == std::vector<int>{0, 7, 3});
}
