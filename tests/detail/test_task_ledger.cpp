#include <multiprocessing/detail/arena.hpp>
#include <multiprocessing/detail/task_ledger.hpp>

#include "support/catch.hpp"

#include <thread>

using namespace multiprocessing::detail;

namespace {

struct Ledger {
    task_ledger* get = arena::instance().create<task_ledger>();
    Ledger() = default;
    Ledger(Ledger const&) = delete;
    Ledger& operator=(Ledger const&) = delete;
    ~Ledger() { arena::instance().destroy(get); }
    task_ledger* operator->() const { return get; }
};

void add(task_ledger& ledger) {
    task_ledger::adding item(ledger);
    item.added = true;
}

} // namespace

TEST_CASE("items count from their putting until they are done") {
    Ledger ledger;
    add(*ledger.get);
    { task_ledger::adding const failed(*ledger.get); }
    CHECK(ledger->unfinished() == 1);
    CHECK_FALSE(ledger->in_work());
    ledger->hold();
    CHECK(ledger->in_work());
    CHECK(ledger->done());
    CHECK_FALSE(ledger->in_work());
    CHECK_FALSE(ledger->done());
}

TEST_CASE("who reports for others does not go below nothing") {
    Ledger ledger;
    add(*ledger.get);
    add(*ledger.get);
    CHECK(ledger->done());
    ledger->hold();
    CHECK(ledger->in_work());
    CHECK(ledger->done());
}

TEST_CASE("a join waits for who has an item in hand, and not for what nobody has") {
    Ledger ledger;
    add(*ledger.get);
    ledger->hold();
    std::thread worker([&] { ledger->done(); });
    CHECK(ledger->wait([] { return 0U; }, [] { return true; }) == 0);
    worker.join();
    add(*ledger.get);
    add(*ledger.get);
    CHECK(ledger->wait([] { return 0U; }, [] { return true; }) == 2);
    CHECK(ledger->unfinished() == 0);
}
